"""How the hub is served: sockets and their limits, bodies, compressed files, allowances."""
