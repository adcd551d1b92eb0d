"""The points ledger: awards, redemptions, expiry, refunds, tiers, and the proof that they add up."""
