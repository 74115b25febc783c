"""Physics, and the only code that loads PyBullet: the engine, bodies, the arm, the world, and its replay."""
