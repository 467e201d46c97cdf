"""Storage tiers, pack moves and orphaned packs."""
