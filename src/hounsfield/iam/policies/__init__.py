"""IAM policies: parsing and evaluation. Pure: no database, no network, no clock of its own.

JSON ─▶ json_reader ─▶ parser ─▶ document (statement, condition, operators, variables, wildcards)
policy_set · action · resource · condition_context ─▶ evaluation ─▶ Decision
                                                      └─ statement_index, condition_index: which statements can matter
policy_set · action ─▶ resource_filter ─▶ formula for the database
"""
