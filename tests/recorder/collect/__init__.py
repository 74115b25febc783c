"""Episodes made faster than time."""
