"""Robot models as URDF: read, composed of parts, and their links."""
