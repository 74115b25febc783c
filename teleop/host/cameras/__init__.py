"""The host's end of its cameras: their process and the one that stands by, open films, and what is wrong with them."""
