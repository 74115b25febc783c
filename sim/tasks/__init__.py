"""Tasks, one module each, each exporting `TASK`. Loading them loads no physics."""

from typing import Final

SINGLE_ARMS: Final = ("panda", "iiwa", "xarm6", "so101")
"""The robots with one arm and a fixed base."""
