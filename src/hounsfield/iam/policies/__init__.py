"""IAM policies: what they say, and what they decide. Pure: no database, no network, no clock of its own."""
