"""What several tasks share: how things are placed, what counts as near, and the scripted operator."""
