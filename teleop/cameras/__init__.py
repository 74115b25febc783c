"""Cameras beside a robot: their names, what they see, and the process that encodes it."""
