"""Physics, the only place that loads PyBullet: the engine, bodies, the arm, the world, and its replay."""
