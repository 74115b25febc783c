"""Robots as data: one module a robot, each exporting `DESCRIPTION`. Loading them loads no physics."""
