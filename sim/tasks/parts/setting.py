"""The scene of one episode: a task's things around a robot, from a seed, with slightly different looks each time.

The physics and the looks are drawn from separate generators, so that a change of looks never changes how an episode
goes.
"""

from __future__ import annotations

import colorsys
from dataclasses import replace
from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.draws import Draws
from sim.robot import Vector
from sim.rotation import looking
from sim.scene import Body, Camera, Light, Rgba, Scene, Triple
from sim.task import Task

_HUE: Final = 0.015
_BRIGHTNESS: Final = 0.08
_LIGHT: Final = 0.25
_CAMERA_M: Final = 0.02
_AIM_M: Final = 0.01
_FOV_RAD: Final = 0.8
_ROAMING: Final = 2.6
"""How much farther away the cameras are for a robot that drives around."""


def setting(robot: RobotDescription, task: Task, seed: int | None = None) -> Scene:
    """Return the scene of the episode with this seed (a non-negative integer); None: the task as its card shows it."""
    bodies = task.bodies(robot, Draws(seed or 0))
    if seed is None:
        return Scene(bodies, Light(), cameras(robot))
    looks = Draws(np.random.SeedSequence(seed).spawn(1)[0])
    return Scene(
        tuple(_tinted(body, looks) for body in bodies),
        _turned(Light(), looks),
        cameras(robot, looks),
        _shade(Scene().floor_rgba, looks),
    )


def cameras(robot: RobotDescription, looks: Draws | None = None) -> tuple[Camera, ...]:
    """Return two cameras that see the field from the front and from the side, and one on each wrist that has one."""
    x, y = robot.field.center_m
    size = robot.field.scale if robot.base is None else _ROAMING
    aim = np.array((x - 0.12 * size, y, 0.12 * size))
    found = [
        _aimed("front", np.array((x + 0.75 * size, y, 0.62 * size)), aim, looks),
        _aimed("side", np.array((x - 0.05 * size, y - 0.95 * size, 0.55 * size)), aim, looks),
    ]
    for hand in robot.hands:
        if hand.camera is not None:
            name = "wrist" if len(robot.hands) == 1 else f"{hand.name}_wrist"
            position, orientation = hand.camera
            found.append(Camera(name, position, orientation, fov_y_rad=1.2, link=hand.link, near_m=0.01))
    return tuple(found)


def _aimed(name: str, position: Vector, aim: Vector, looks: Draws | None) -> Camera:
    if looks is not None:
        position = position + _shift(looks, _CAMERA_M)
        aim = aim + _shift(looks, _AIM_M)
    return Camera(name, _triple(position), looking(_triple(position), _triple(aim)), fov_y_rad=_FOV_RAD)


def _tinted(body: Body, looks: Draws) -> Body:
    return replace(body, rgba=_shade(body.rgba, looks))


def _shade(rgba: Rgba, looks: Draws) -> Rgba:
    hue, saturation, value = colorsys.rgb_to_hsv(*rgba[:3])
    hue = (hue + looks.uniform(-_HUE, _HUE)) % 1.0
    value = min(value * (1.0 + looks.uniform(-_BRIGHTNESS, _BRIGHTNESS)), 1.0)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return (red, green, blue, rgba[3])


def _turned(light: Light, looks: Draws) -> Light:
    towards = np.array(light.towards) + _shift(looks, _LIGHT)
    intensity = light.intensity * (1.0 + looks.uniform(-0.15, 0.15))
    return Light(_triple(towards), intensity, light.ambient * (1.0 + looks.uniform(-0.1, 0.1)))


def _shift(looks: Draws, most: float) -> Vector:
    return np.array([looks.uniform(-most, most) for _ in range(3)])


def _triple(vector: Vector) -> Triple:
    x, y, z = (float(value) for value in vector)
    return (x, y, z)
