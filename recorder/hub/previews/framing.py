"""Where a short film is seen from: a little farther away than the camera itself, so that the whole arm is in it.

The cameras of a scene look at where its things are, which is what training needs; of a tall arm they cut the top off,
and whoever looks through many episodes wants to see it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.rotation import looking
from sim.scene import Camera

_FARTHER: Final = 1.3
_AIM: Final = (-0.2, 0.0, 0.25)
"""What it looks at, from the middle of the field, times the field's scale: about the arm's elbow."""


def farther(camera: Camera, robot: RobotDescription) -> Camera:
    """Return a camera that stands farther back; one that moves, or that looks at a robot that drives, is as it was."""
    if camera.link is not None or robot.base is not None:
        return camera
    x, y = robot.field.center_m
    middle = np.array((x, y, 0.0))
    position = middle + _FARTHER * (np.array(camera.position_m) - middle)
    aim = middle + robot.field.scale * np.array(_AIM)
    (px, py, pz), (ax, ay, az) = (tuple(map(float, one)) for one in (position, aim))
    return replace(camera, position_m=(px, py, pz), orientation=looking((px, py, pz), (ax, ay, az)))
