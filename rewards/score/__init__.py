"""What an episode is worth: measured, and scored by published rules; pure, from the file alone."""
