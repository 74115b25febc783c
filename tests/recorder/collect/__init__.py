"""Episodes made faster than real time."""
