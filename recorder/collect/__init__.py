"""Episodes made faster than time: a program drives a simulated robot; recorded, signed and replayed, without a hub."""
