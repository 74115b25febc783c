"""The chain: the only place that loads web3. The embedded one, the vault, and payouts."""
