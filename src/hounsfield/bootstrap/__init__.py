"""The composition root: the only place that turns settings into objects.

settings ─▶ installation (keyring, database, identities) ─▶ image_store ─▶ audit, roles, tokens ─▶ api ─▶ application
            first_start, start_faults, start_reports: what is said when that fails
"""
