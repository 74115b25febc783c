"""Rewards in the hub: the pipeline from a verified episode to its pay, and the routes."""
