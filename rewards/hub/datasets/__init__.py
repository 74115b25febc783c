"""Data sets in the hub: who may put what into one, versions and how they follow each other, and the routes."""
