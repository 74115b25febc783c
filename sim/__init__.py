"""What a robot is, and simulated robots. Other packages use its values; it imports none of the other packages."""
