"""Fingers are counted from where they are closed, and open in the positive direction. Exports `rezeroed`.

The engine gears two fingers so that they are at one position (`sim/physics/arm.py`); a URDF may count one of them
backwards, or from where it is open. Only the numbers change, not where anything is.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping

import numpy as np

from sim.model.urdf import Urdf
from sim.robot import Vector
from sim.rotation import from_rotvec, to_matrix


def rezeroed(root: ET.Element, urdf: Urdf, ends: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Count the gripper's joints of `root` from closed to open; return them so, as (0, how far they open).

    `ends`: joint -> (closed, open), as `urdf` counts them.
    """
    found = {}
    for element in root.findall("joint"):
        name = element.get("name", "")
        if name not in ends:
            continue
        closed, opened = ends[name]
        joint = urdf.joint(name)
        sign = 1.0 if opened > closed else -1.0
        _place(element, joint.origin @ _moved(joint.axis, closed, joint.rotates))
        _set(element, "axis", "xyz", sign * joint.axis)
        limits = sorted(sign * (limit - closed) for limit in (joint.lower, joint.upper))
        limit = element.find("limit")
        if limit is not None and joint.kind != "continuous":
            limit.set("lower", repr(limits[0] + 0.0))
            limit.set("upper", repr(limits[1] + 0.0))
        mimic = element.find("mimic")
        if mimic is not None:
            element.remove(mimic)  # every joint is driven, and its factor was one of the old numbers
        found[name] = 0.0, sign * (opened - closed)
    return found


def _moved(axis: Vector, position: float, rotates: bool) -> Vector:
    frame = np.eye(4)
    if rotates:
        frame[:3, :3] = to_matrix(from_rotvec(position * axis))
    else:
        frame[:3, 3] = position * axis
    return frame


def _place(element: ET.Element, frame: Vector) -> None:
    _set(element, "origin", "xyz", frame[:3, 3])
    _set(element, "origin", "rpy", rpy_of(frame[:3, :3]))


def _set(element: ET.Element, tag: str, key: str, values: Vector) -> None:
    part = element.find(tag)
    if part is None:
        part = ET.SubElement(element, tag)
    part.set(key, said(values))


def said(values: Vector) -> str:
    """Return numbers as a URDF's attributes have them."""
    return " ".join(f"{value:.12g}" for value in values + 0.0)


def rpy_of(turn: Vector) -> Vector:
    """Return roll, pitch and yaw (3,) rad of a rotation matrix (3, 3), as a URDF has them."""
    flat = math.hypot(turn[0, 0], turn[1, 0])
    pitch = math.atan2(-turn[2, 0], flat)
    if flat < 1e-9:  # straight up or down: only one turn about the vertical is left
        return np.array((math.atan2(-turn[1, 2], turn[1, 1]), pitch, 0.0))
    return np.array((math.atan2(turn[2, 1], turn[2, 2]), pitch, math.atan2(turn[1, 0], turn[0, 0])))
