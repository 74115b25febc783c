"""Real arms: each module here makes one kind of hardware a `sim.robot.Robot`."""
