"""What a demonstration is worth: scores, the ledger, payouts and licences."""

from teleop.pairings import leave_until_used

leave_until_used()
