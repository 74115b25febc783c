"""Leases: who is at a robot, who waits for it and for how long, who may have it, and how that ends."""
