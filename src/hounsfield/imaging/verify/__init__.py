"""Verification: everything that is stored is as it was written, and its parts agree with each other.

    data store ─┬─ keys beside the packs
                ├─ image sets ─▶ rows (`image_set_rules`) ─▶ records of their packs, in workers (`record_check`)
                ├─ studies and tags, as they are searched (`index_check`)
                └─ packs ─▶ records and packs that no row names (`pack_walk`)

`verifier` walks over it in units, `passes` keeps how far a walk has come, `background` lets a runner walk slowly. What a unit
finds is looked at again before it is reported: meanwhile the image set may have been changed, moved or deleted.
"""
