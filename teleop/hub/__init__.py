"""Driving, on the hub's side: accounts, robots, leases, the relay, and its routes."""
