"""Recording on a robot's host: from the step stream to a sealed bundle, and from there to the hub."""
