"""How a robot moves when it is asked to: kinematics, control within limits, smoothing."""
