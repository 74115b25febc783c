"""What proves an episode: its manifest and signatures, the gates that check it, and the log that keeps it."""
