"""Reviews against a real database."""
