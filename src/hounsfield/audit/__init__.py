"""The audit trail: CloudTrail records of every call in a hash chain.

gateway ─▶ events ─▶ trail (queue, thread) ─▶ cloudtrail_record ─▶ hash_chain ─▶ chain_writer ─▶ files of one process
                                                                                      │  chain_index: all chains
                          verify · find · s3_delivery · retention ◀─ chain_reader ◀───┘
"""
