"""What `benchmarks/scale.py` is made of: a year of a hub's rows, how they get into tables, and what is asked."""
