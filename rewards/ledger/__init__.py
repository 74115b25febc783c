"""The money: a double-entry ledger that only grows, and the tree of what is settled."""
