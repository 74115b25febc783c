"""The public reader."""
