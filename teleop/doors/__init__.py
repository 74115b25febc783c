"""Doors: compositions behind the command line, which may import every room. No room imports a door."""
