"""Reference sets: what accepted drives of each task look like, which version 3 of the rules compares with."""
