"""The parts of a platform: the hub, hosts and their robots, and the processes that they run in."""
