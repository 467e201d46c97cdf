"""Users, roles, access keys and policies: rows in the database, and the snapshot that requests are looked up in.

command ─▶ identities, access_keys, managed_policies, attachments ─▶ repository ─▶ tables, generation + 1
                                                                                      │ polled twice a second
request ─▶ directory (key, role, policy) ─▶ snapshot: dicts in memory ◀───────────────┘
"""
