"""What a platform is composed of: the hub, hosts and their robots, and the processes that they run in."""
