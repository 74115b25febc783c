"""The driving room beside the hub: accounts, robots, leases, the relay, and its routes."""
