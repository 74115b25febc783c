"""Pictures of an episode, encoded: recorded by a real camera, or drawn from the states of a simulation."""
