"""The money: a double-entry ledger that only grows, and the Merkle tree of what is settled."""
