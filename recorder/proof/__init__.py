"""What an episode proves: its manifest and signatures, the gates that it passes, and the log that keeps it."""
