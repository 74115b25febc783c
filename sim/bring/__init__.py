"""A robot as the world publishes it becomes one of ours: files found, meshes converted, what is missing assumed."""
