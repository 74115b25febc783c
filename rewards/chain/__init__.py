"""The chain: the embedded one, the vault, and payouts. Only this package loads web3."""
