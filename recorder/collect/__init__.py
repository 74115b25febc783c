"""Episodes made faster than real time: a program drives a simulated robot, without a hub."""
