"""What the gates compute: an episode's commands, motion, pictures, and whether it repeats another. Pure."""
