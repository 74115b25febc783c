"""Episodes in the hub: how they arrive, what is known of them, and who may ask."""
