"""Database, blobs, packs, buckets, and the keys that seal them.

keys (master key ─▶ data key of a data store ─▶ key of a pack) ─▶ blobs (packs of sealed records, caches)
db (tables, transactions)                                         buckets (what import jobs read and write)
"""
