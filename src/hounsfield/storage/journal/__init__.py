"""The journal: what every transaction changed, in sealed segments beside the packs, from which the database is made again."""
