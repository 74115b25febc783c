"""What an episode was worth: measured, and scored by published rules; pure, from the file alone."""
