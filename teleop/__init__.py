"""Driving a robot remotely. It produces a stream of steps, and knows nothing of what an episode is worth."""

from teleop.pairings import leave_until_used

leave_until_used()
