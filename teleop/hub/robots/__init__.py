"""Which robots there are: registered, described, cleared after a stop, and seen through their cameras."""
