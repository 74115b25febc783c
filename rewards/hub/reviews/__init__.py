"""People judge real robots' episodes: who is asked about which, what they say, and what follows from it."""
