"""What a demonstration is worth: scores, the ledger, payouts and licences."""
