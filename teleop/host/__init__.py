"""The driving room beside a robot: the link to the hub, the control loop, safety, and the episode being driven."""
