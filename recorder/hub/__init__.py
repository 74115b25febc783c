"""Episodes in the hub: how they arrive, what is known about them, and who may ask for them."""
