"""The light of a picture: the room's own, or another that is asked for. The scene itself stays as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from sim.robot import RobotError
from sim.scene import Light, Triple
from sim.words import listed

ROOM: Final = "room"
"""The light of the episode's own scene, which differs a little from seed to seed."""
_STRENGTHS: Final = {"bright": (1.05, 0.65), "dim": (0.30, 0.20)}
"""Intensity of the distant light, and of the even one; the room's own are 0.75 and 0.45."""
LIGHTS: Final = (ROOM, *_STRENGTHS)

Lighting = str | Triple
"""One of `LIGHTS`, or the direction (x, y, z) in which the room's distant light shines; z is below 0."""


class UnknownLightError(RobotError):
    """There is no such light."""


def lit(light: Light, wanted: Lighting) -> Light:
    """Return the light that is asked for instead of a room's own; raise UnknownLightError."""
    if isinstance(wanted, str):
        if wanted == ROOM:
            return light
        if wanted not in _STRENGTHS:
            raise UnknownLightError(f"There is no light {wanted!r}. There are {listed(LIGHTS)}, and a direction X,Y,Z.")
        intensity, ambient = _STRENGTHS[wanted]
        return replace(light, intensity=intensity, ambient=ambient)
    if len(wanted) != 3 or not np.isfinite(wanted).all() or not wanted[2] < 0.0:
        raise UnknownLightError(f"Light shines along X,Y,Z with Z below 0, downward, and {wanted} is not that.")
    x, y, z = (float(value) for value in wanted)
    return replace(light, towards=(x, y, z))
