"""Users, roles, access keys and policies: how they are changed, and the copy of them that every request is looked up in.

command ─▶ Repository.change ─▶ tables, generation + 1
                                          │ looked at twice a second, by a thread
request ─▶ Directory.key, Directory.role ─┴─▶ Snapshot: dicts in memory
"""
