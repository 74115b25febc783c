"""From a scene and its states to pixels."""
