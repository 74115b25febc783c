"""The second room: driving a robot from afar. A stream of steps leaves it; what an episode is worth does not enter."""
