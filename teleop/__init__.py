"""Driving a robot remotely. It produces a stream of steps, and knows nothing of what an episode is worth."""
