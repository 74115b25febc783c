"""Places a task's things at the start of an episode: apart, within the robot's field, from a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from sim.description import Field
from sim.draws import Draws
from sim.robot import RobotError
from sim.scene import Body, Box, Cylinder, Part, Quaternion, Rgba

CUBE_HALF_EDGE_M: Final = 0.022
CUBE_MASS_KG: Final = 0.1
RED: Final[Rgba] = (0.93, 0.33, 0.18, 1.0)
GREEN: Final[Rgba] = (0.24, 0.66, 0.36, 1.0)
BLUE: Final[Rgba] = (0.20, 0.42, 0.86, 1.0)
Spot = tuple[float, float]
_TRIES: Final = 100
"""How many places are tried for one thing, and how often all start over if they left no room for the last."""


class PlacingError(RobotError):
    """The things of a task do not fit into a robot's field."""


def cube(name: str, scale: float, rgba: Rgba = RED) -> Body:
    """Return a cube resting on the floor, to be placed; its pose is the array `{name}_pose`."""
    half = CUBE_HALF_EDGE_M * scale
    return Body(
        name,
        (Part(Box((half, half, half))),),
        rgba,
        position_m=(0.0, 0.0, half),
        mass_kg=CUBE_MASS_KG * scale**3,
        friction=1.0,
        pose_from=f"{name}_pose",
    )


def spot(field: Field, rng: Draws, taken: Sequence[Spot], apart_m: float) -> Spot:
    """Return a place in the field, at least `apart_m` from those taken; raise PlacingError if there is none."""
    center, half = field.center_m, field.half_extents_m
    for _ in range(_TRIES):
        x, y = (middle + far * rng.uniform(-1.0, 1.0) for middle, far in zip(center, half, strict=True))
        if all((x - other[0]) ** 2 + (y - other[1]) ** 2 >= apart_m**2 for other in taken):
            return x, y
    raise PlacingError(f"expected room for {len(taken) + 1} things {apart_m} m apart in {field}")


def placed(field: Field, rng: Draws, bodies: Sequence[Body], apart_m: float = 0.0) -> tuple[Body, ...]:
    """Return the bodies at separate places in the field, each at its own height and turned any way.

    Raises PlacingError if they do not fit.
    """
    for _ in range(_TRIES):
        with suppress(PlacingError):
            return _placed_at_once(field, rng, bodies, apart_m)
    raise PlacingError(f"expected room for {len(bodies)} things {apart_m} m apart in {field}")


def _placed_at_once(field: Field, rng: Draws, bodies: Sequence[Body], apart_m: float) -> tuple[Body, ...]:
    taken: list[Spot] = []
    found = []
    for body in bodies:
        x, y = spot(field, rng, taken, apart_m)
        taken.append((x, y))
        found.append(at(body, x, y, rng.uniform(-math.pi, math.pi)))
    return tuple(found)


def at(body: Body, x: float, y: float, yaw_rad: float = 0.0) -> Body:
    """Return the body there, at its own height, turned about the vertical."""
    return replace(body, position_m=(x, y, body.position_m[2]), orientation=upright(yaw_rad))


def upright(yaw_rad: float) -> Quaternion:
    """Return the quaternion of a turn about the vertical."""
    return (0.0, 0.0, math.sin(0.5 * yaw_rad), math.cos(0.5 * yaw_rad))


def tray(name: str, half_m: float, wall_m: float, rgba: Rgba) -> Body:
    """Return an open box to put things into, fixed on the floor: `half_m` to each side inside, walls `wall_m` high."""
    thick = 0.1 * half_m
    out, tall = half_m + thick, 0.5 * wall_m
    parts = [Part(Box((out, out, 0.5 * thick)), (0.0, 0.0, 0.5 * thick))]
    for x, y in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
        extents = (0.5 * thick, out, tall) if x else (out, 0.5 * thick, tall)
        parts.append(Part(Box(extents), (x * (half_m + 0.5 * thick), y * (half_m + 0.5 * thick), tall)))
    return Body(name, tuple(parts), rgba, pose_from=f"{name}_pose", goal=True)


def mark(name: str, radius_m: float, rgba: Rgba) -> Body:
    """Return a disc painted on the floor, as a goal for something."""
    disc = Part(Cylinder(radius_m, 0.002), (0.0, 0.0, 0.001), solid=False)
    return Body(name, (disc,), rgba, pose_from=f"{name}_pose", goal=True)


def ring(inside_m: float, height_m: float, thick_m: float, sides: int = 8) -> tuple[Part, ...]:
    """Return a round vessel: `sides` walls on a bottom, which alone touches the floor; origin: middle of its bottom."""
    parts = [Part(Cylinder(inside_m + thick_m, thick_m), (0.0, 0.0, 0.5 * thick_m))]
    half_side = (inside_m + thick_m) * math.tan(math.pi / sides)
    for index in range(sides):
        angle = 2.0 * math.pi * index / sides
        away = inside_m + 0.5 * thick_m
        place = (away * math.cos(angle), away * math.sin(angle), 0.5 * (thick_m + height_m))
        parts.append(Part(Box((0.5 * thick_m, half_side, 0.5 * (height_m - thick_m))), place, upright(angle)))
    return tuple(parts)
