"""The first room: what a robot is, and robots made of physics. Values leave it; nothing of the other rooms enters."""
