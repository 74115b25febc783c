"""What several tasks are made of: where things are put, what counts as near, and the scripted operator."""
