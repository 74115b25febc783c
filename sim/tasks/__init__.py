"""Tasks: one module each, exporting `TASK`. Loading them loads no physics."""
