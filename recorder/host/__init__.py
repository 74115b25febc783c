"""Recording beside a robot: from the step stream to a sealed bundle, and from there to the hub."""
