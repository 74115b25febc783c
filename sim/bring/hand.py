"""Where a hand is and how its gripper closes, from the shapes of its fingers. Exports `hand_of`.

The hand's link lies between the fingertips: its z axis is the direction of approach, its y axis the one along which the
fingers close. A link of the URDF that is so already is used; otherwise one is added.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.bring.clean import Cleaned
from sim.bring.parts import Parts
from sim.bring.strokes import rpy_of, said
from sim.model.compose import weightless
from sim.model.links import Links
from sim.model.urdf import Joint, Urdf
from sim.robot import Vector

ADDED: Final = "armshare_hand"
"""The name of the link that is added."""
_TOOL: Final = (re.compile(r"grasp|tcp|pinch"), re.compile(r"tool|tip|effector|(^|_)ee(_|$)"))
_INSIDE_M: Final = 0.012
"""How far inside the fingertips the hand's link lies."""
_NEAR_M: Final = 0.05
_TIP_M: Final = 0.02
"""How long the ends of the fingers are, between which the hand's link lies."""
_ONWARD_M: Final = 1e-3
_ALIGNED: Final = 0.966
"""The cosine of 15 degrees."""


@dataclass(frozen=True, slots=True)
class Grip:
    """A hand: its link, and how its gripper's joints close and open."""

    link: str
    gripper_joints: Mapping[str, tuple[float, float]]
    finger_links: tuple[str, ...]
    opening_m: float
    """How far apart the fingers are when open; 0 without a gripper."""
    assumed: tuple[str, ...]


def hand_of(urdf: Urdf, found: Cleaned, parts: Parts, mimics: Mapping[str, tuple[str, float, float]]) -> Grip:
    """Return the hand of an arm; a link that has to be added is added to `found.root`.

    `mimics`: joint -> the joint that it follows, its multiplier and its offset.
    """
    if not parts.fingers:
        return _bare(urdf, found, parts)
    look = _Look(urdf, found, parts)
    masters = [joint for joint in parts.fingers if joint.name not in mimics]
    ends = {joint.name: look.closed_open(joint, masters, mimics) for joint in masters}
    for joint in parts.fingers:
        if joint.name in mimics:
            of, factor, offset = mimics[joint.name]
            low, high = joint.lower, joint.upper
            closed, opened = (min(max(factor * end + offset, low), high) for end in ends[of])
            ends[joint.name] = closed, opened
    ends = {joint.name: ends[joint.name] for joint in parts.fingers if ends[joint.name][0] != ends[joint.name][1]}
    frame, gap_m = look.between(ends)
    link, link_said = _link_at(urdf, found, parts.palm, frame)
    stroke = ", ".join(f"{name} {closed:.4g} to {opened:.4g}" for name, (closed, opened) in ends.items())
    assumed = (f"gripper, closed to open: {stroke}", link_said)
    touching = [name for name in look.links if name in found.touching]
    if len(touching) == 1 and parts.palm in found.touching:
        touching.append(parts.palm)  # a jaw that closes on the body of the hand
    return Grip(link, ends, tuple(touching), gap_m, assumed)


class _Look:
    """The fingers, seen from the palm."""

    def __init__(self, urdf: Urdf, found: Cleaned, parts: Parts) -> None:
        self._found, self._palm, self._fingers = found, parts.palm, parts.fingers
        self._names = [joint.name for joint in parts.fingers]
        self._tree = Links(urdf, self._names)
        self.links = [joint.child for joint in parts.fingers]
        self.links += [name for name in urdf.links if name not in self.links and self._carried(urdf, name)]
        """The fingers' links."""
        self.links = [name for name in self.links if len(found.points(name))]

    def _carried(self, urdf: Urdf, link: str) -> bool:
        """Whether a fixed joint, or several, hang the link on a finger."""
        carrier = {joint.child: joint for joint in urdf.joints.values()}
        while link in carrier and link != self._palm:
            if carrier[link] in self._fingers:
                return True
            link = carrier[link].parent
        return False

    def closed_open(
        self, joint: Joint, masters: Sequence[Joint], mimics: Mapping[str, tuple[str, float, float]]
    ) -> tuple[float, float]:
        """Return a joint's closed and open positions: closed is where the fingers are nearer to each other."""
        spread = {}
        for at in (joint.lower, joint.upper):
            state = {one.name: 0.5 * (one.lower + one.upper) for one in masters} | {joint.name: at}
            for name, (of, factor, offset) in mimics.items():
                state[name] = factor * state.get(of, 0.0) + offset
            spread[at] = self._spread(state)
        closed, opened = sorted(spread, key=lambda at: spread[at])
        return closed, opened

    def _spread(self, state: Mapping[str, float]) -> float:
        middles = [points.mean(axis=0) for points in self._seen(state).values()]
        if len(middles) == 1:  # one jaw: the other side is the palm
            own = self._found.points(self._palm)
            middles.append(own.mean(axis=0) if len(own) else np.zeros(3))
        middle = np.mean(middles, axis=0)
        return float(sum(np.linalg.norm(one - middle) for one in middles))

    def _seen(self, state: Mapping[str, float]) -> dict[str, Vector]:
        """Return the points of each finger's links in the palm's frame."""
        frames = self._tree.frames(np.array([[state.get(name, 0.0) for name in self._names]]))[0]
        index = self._tree.names.index
        to_palm = np.linalg.inv(frames[index(self._palm)])
        found = {}
        for link in self.links:
            frame = to_palm @ frames[index(link)]
            found[link] = self._found.points(link) @ frame[:3, :3].T + frame[:3, 3]
        return found

    def between(self, ends: Mapping[str, tuple[float, float]]) -> tuple[Vector, float]:
        """Return the hand's frame (4, 4) in the palm's, and how far apart the fingers are when open, m."""
        closed, opened = (self._seen({name: pair[end] for name, pair in ends.items()}) for end in (0, 1))
        moved = {link: opened[link].mean(axis=0) - closed[link].mean(axis=0) for link in self.links}
        first = max(moved, key=lambda link: float(np.linalg.norm(moved[link])), default=None)
        frame = np.eye(4)
        if first is None or np.linalg.norm(moved[first]) < 1e-6:
            return frame, 0.0
        y = moved[first] / np.linalg.norm(moved[first])
        every = np.concatenate(list(closed.values()))
        z = _approach(every, y)
        frame[:3, :3] = np.column_stack((np.cross(y, z), y, z))
        along = every @ z
        tips = [points[points @ z > along.max() - _TIP_M] for points in closed.values()]
        middles = np.array([points.mean(axis=0) for points in tips if len(points)])
        tip = float(along.max()) - min(_INSIDE_M, 0.25 * float(np.ptp(along)))
        middle = middles.mean(axis=0) if len(middles) > 1 else every.mean(axis=0)
        frame[:3, 3] = middle + (tip - float(middle @ z)) * z
        ways = [0.0, *(float(way @ y) for way in moved.values())]
        return frame, max(ways) - min(ways)


def _approach(points: Vector, y: Vector) -> Vector:
    """Return the direction across `y`, along an axis of the palm, in which the fingers reach farthest."""
    best, reach = np.array((0.0, 0.0, 1.0)), -np.inf
    for axis in (*np.eye(3), *-np.eye(3)):
        across = axis - (axis @ y) * y
        length = float(np.linalg.norm(across))
        if length > 0.5 and float((points @ across).max()) / length > reach:
            best, reach = across / length, float((points @ across).max()) / length
    return best


def _bare(urdf: Urdf, found: Cleaned, parts: Parts) -> Grip:
    """Return the hand of an arm without a gripper: the link for tools, or else the end of its last link."""
    last = parts.arm[-1]
    named = _tool(urdf, parts.palm)
    if named is not None:
        return Grip(named, {}, (), 0.0, ("no gripper was found", f"the hand is the link {named}"))
    points = found.points(parts.palm)
    z = last.axis if last.rotates else np.array((0.0, 0.0, 1.0))
    onward = float(last.origin[:3, 3] @ last.origin[:3, :3] @ z)  # the way that the joint goes on from its parent's
    if abs(onward) < _ONWARD_M and len(points):
        onward = float(points.mean(axis=0) @ z)
    z = -z if onward < 0.0 else z
    frame = np.eye(4)
    x = np.cross(z, (0.0, 1.0, 0.0)) if abs(z[1]) < 0.9 else np.cross(z, (1.0, 0.0, 0.0))
    x = x / np.linalg.norm(x)
    frame[:3, :3] = np.column_stack((x, np.cross(z, x), z))
    frame[:3, 3] = (max(float((points @ z).max()), 0.0) if len(points) else 0.0) * z
    link, link_said = _link_at(urdf, found, parts.palm, frame)
    return Grip(link, {}, (), 0.0, ("no gripper was found", link_said))


def _link_at(urdf: Urdf, found: Cleaned, palm: str, frame: Vector) -> tuple[str, str]:
    """Return a link at `frame` in the palm's: one that is there, or a new one; and what was done, in words."""
    tool = _tool(urdf, palm)
    if tool is not None:
        theirs = _rigid(urdf, palm)[tool]
        axes = theirs[:3, :3].T @ frame[:3, :3]
        near = float(np.linalg.norm(theirs[:3, 3] - frame[:3, 3])) < _NEAR_M
        if near and axes[2, 2] > _ALIGNED and abs(axes[1, 1]) > _ALIGNED:
            return tool, f"the hand is the link {tool}"
        if near:
            frame = frame.copy()
            frame[:3, 3] = theirs[:3, 3]
    name = ADDED
    ET.SubElement(found.root, "link", name=name).append(weightless())
    joint = ET.SubElement(found.root, "joint", name=f"{name}_fixed", type="fixed")
    ET.SubElement(joint, "parent", link=palm)
    ET.SubElement(joint, "child", link=name)
    place, turn = frame[:3, 3], rpy_of(frame[:3, :3])
    ET.SubElement(joint, "origin", xyz=said(place), rpy=said(turn))
    at = f"{place[0]:.3f} {place[1]:.3f} {place[2]:.3f} m on {palm}"
    return name, f"the hand is a link that was added, {name}, at {at}"


def _tool(urdf: Urdf, palm: str) -> str | None:
    """Return the link that the URDF means for tools, by its name."""
    names = [name for name in _rigid(urdf, palm) if name != palm]
    for pattern in _TOOL:
        for name in names:
            if pattern.search(name.lower()):
                return name
    return None


def _rigid(urdf: Urdf, palm: str) -> dict[str, Vector]:
    """Return the links that fixed joints hang on the palm, and where they are in its frame (4, 4)."""
    found, waiting = {palm: np.eye(4)}, [palm]
    while waiting:
        link = waiting.pop()
        for joint in urdf.joints.values():
            if joint.parent == link and not joint.moves:
                found[joint.child] = found[link] @ joint.origin
                waiting.append(joint.child)
    return found
