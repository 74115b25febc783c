"""Driving, on the robot's side: the link to the hub, the control loop, safety, and the episode being driven."""
