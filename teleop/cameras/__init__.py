"""Cameras beside a robot: what they are called, what they see, and the process that encodes it."""
