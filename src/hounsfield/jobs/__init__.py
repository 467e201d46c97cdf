"""Work items: taken from the database under a lease, and run by handlers.

change ─▶ queue.enqueue ──commit──▶ wakeup ─▶ runner ─claim─▶ handler ─▶ queue.finish with the effects
"""
