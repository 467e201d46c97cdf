"""The audit trail: who did what and when, in the form of CloudTrail, sealed so that a change shows.

door ─▶ AuditEvent ─▶ Trail (queue, thread) ─▶ record ─▶ sealed line ─▶ file of the chain of this process
                                                                         │  index of all chains
                        verify · tail · find · delivery · retention ◀────┘
"""
