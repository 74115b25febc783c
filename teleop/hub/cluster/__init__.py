"""Several hubs behind one address: who of them is there, where each robot is, and how people reach it from any."""
