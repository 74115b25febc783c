"""What a demonstration was worth: scores, the ledger, payouts and licences."""
