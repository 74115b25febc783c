"""A published robot is added: read, cleaned, described, and written into a folder of its own. Exports `bring`."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from sim.bring.clean import Cleaned, cleaned
from sim.bring.hand import Grip, hand_of
from sim.bring.parts import Parts, parts_of
from sim.bring.posture import Place, place_of
from sim.bring.source import read_source
from sim.bring.strokes import rezeroed
from sim.catalogue import ROBOTS, TASKS, task
from sim.description import Hand, RobotDescription
from sim.model.urdf import Urdf, floats, require_whole
from sim.own import OwnRobot, is_name, write
from sim.robot import RobotError, RobotModel
from sim.rotation import looking
from sim.tasks import SINGLE_ARMS
from sim.tasks.reach import TASK as REACH

TURN_MAX_RAD: Final = 2.0 * math.pi
"""How far a continuous joint is driven either way."""
_EFFORT_SHARE: Final = 3.0
"""An effort that the URDF does not say: this many times what holds the arm stretched out."""
_EFFORT_MIN_NM: Final = 10.0
_GRIP_N: Final = 20.0
_GRIP_MAX_N: Final = 60.0
_GRIP_MAX_NM: Final = 5.0
"""A gripper that turns its fingers and is as strong as its URDF may allow would throw things away."""
_GRAVITY: Final = 9.81
_PANDA_SIZED: Final = 0.9
SPEED_MAX_RAD_S: Final = 3.0
"""No joint is driven faster, whatever the URDF allows."""
_CAMERA: Final = (0.08, 0.0, -0.10)
_MIMIC: Final = (("multiplier", "1"), ("offset", "0"))
_URDF: Final = Path("the URDF")
"""What errors about its numbers name, once it was read."""


class RobotNameError(RobotError):
    """A robot cannot have that name."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person may say about a robot that its files do not."""

    name: str = ""
    """Empty: the URDF's own name."""
    gripper: tuple[str, ...] = ()
    """The gripper's joints; empty: found by their names and place."""
    hand: str = ""
    """The hand's link; empty: found, or added."""


def bring(path: Path, folder: Path, wishes: Wishes) -> OwnRobot:
    """Write the robot at `path` into the empty `folder`, whose name it takes; return its description.

    Raises a UrdfError that names what is missing, not readable, or not like an arm.
    """
    source = read_source(path)
    name = folder.name
    found = cleaned(source, name, folder)
    model = RobotModel(name, folder, f"{name}.urdf")
    mimics = _mimics(found.root)
    parts = parts_of(_written(found, model), mimics, wishes.gripper)
    _weld(found, parts)
    masters = {joint.name for joint in parts.fingers}
    mimics = {one: rule for one, rule in mimics.items() if rule[0] in masters and rule[0] not in mimics}
    urdf = _written(found, model)
    grip = _wished(hand_of(urdf, found, parts, mimics), wishes)
    grip = replace(grip, gripper_joints=rezeroed(found.root, urdf, grip.gripper_joints))
    urdf = _written(found, model)
    robot = _described(urdf, model, found, parts, grip)
    write(robot, folder)
    return robot


def name_of(path: Path, wishes: Wishes) -> str:
    """Return what the robot at `path` will be called; raise RobotNameError or a UrdfError."""
    name = wishes.name or re.sub(r"[^a-z0-9]+", "_", read_source(path).root.get("name", "").lower()).strip("_")
    if not is_name(name):
        raise RobotNameError(
            f"{name!r} cannot be its name: use a-z, 0-9 and _, beginning with a letter, and give it with --name."
        )
    if name in ROBOTS:
        raise RobotNameError(f"{name!r} is a robot of the project already. Give another --name.")
    return name


def _written(found: Cleaned, model: RobotModel) -> Urdf:
    """Write the URDF as it is by now, and read it back whole."""
    ET.indent(found.root)
    model.urdf_path.write_bytes(b'<?xml version="1.0"?>\n' + ET.tostring(found.root) + b"\n")
    return require_whole(model)


def _mimics(root: ET.Element) -> dict[str, tuple[str, float, float]]:
    """Return the joints that follow another one: which, and by which factor and offset."""
    found = {}
    for joint in root.findall("joint"):
        mimic = joint.find("mimic")
        if mimic is not None and mimic.get("joint"):
            factor, offset = (floats(mimic.get(key, default), 1, _URDF)[0] for key, default in _MIMIC)
            found[joint.get("name", "")] = mimic.get("joint", ""), factor, offset
    return found


def _weld(found: Cleaned, parts: Parts) -> None:
    for joint in found.root.findall("joint"):
        if joint.get("name") in parts.welded:
            joint.set("type", "fixed")
    if parts.welded:
        found.assumed.append(f"neither of the arm nor of its gripper, so welded: {', '.join(parts.welded)}")


def _wished(grip: Grip, wishes: Wishes) -> Grip:
    """Let the hand be the link that a person names."""
    if not wishes.hand:
        return grip
    return replace(grip, link=wishes.hand, assumed=grip.assumed[:1])


def _described(urdf: Urdf, model: RobotModel, found: Cleaned, parts: Parts, grip: Grip) -> OwnRobot:
    names = tuple(joint.name for joint in parts.arm)
    urdf.chain(parts.arm[0].parent, grip.link)
    lower = np.array([joint.lower if math.isfinite(joint.lower) else -TURN_MAX_RAD for joint in parts.arm])
    upper = np.array([joint.upper if math.isfinite(joint.upper) else TURN_MAX_RAD for joint in parts.arm])
    turning = [joint.name for joint in parts.arm if joint.kind == "continuous"]
    said = [f"turning without end, so driven 360 degrees either way: {', '.join(turning)}"] if turning else []
    place = place_of(urdf, parts, grip, found, lower, upper)
    efforts, effort_said = _efforts(urdf, found, parts)
    grip_n, grip_said = _grip_n(urdf, found, grip)
    camera = tuple(value * min(place.field.scale, 1.0) for value in _CAMERA)
    hand = Hand(
        name="hand",
        link=grip.link,
        joint_names=names,
        workspace_lower_m=place.workspace_lower_m,
        workspace_upper_m=place.workspace_upper_m,
        gripper_joints=dict(grip.gripper_joints),
        gripper_effort_max_n=grip_n,
        finger_links=grip.finger_links,
        camera=((camera[0], camera[1], camera[2]), looking(camera, (0.0, 0.0, 0.03), up=(1.0, 0.0, 0.0))),
    )
    robot = RobotDescription(
        model=model,
        joint_names=names,
        joint_lower_rad=tuple(lower.tolist()),
        joint_upper_rad=tuple(upper.tolist()),
        joint_velocity_max_rad_s=tuple(min(joint.velocity_max, SPEED_MAX_RAD_S) for joint in parts.arm),
        joint_effort_max_nm=efforts,
        home_rad=tuple(np.clip(place.home.round(5) + 0.0, lower, upper).tolist()),
        hands=(hand,),
        field=place.field,
    )
    assumed = (*found.assumed, *grip.assumed, *said, *effort_said, *grip_said, *place.assumed)
    return OwnRobot(robot, _tasks(grip, place), assumed)


def _efforts(urdf: Urdf, found: Cleaned, parts: Parts) -> tuple[tuple[float, ...], list[str]]:
    """Return each joint's effort; one that the file does not say is enough to hold the arm stretched out."""
    efforts, said = [], []
    for joint in parts.arm:
        given = _given_effort(found.root, joint.name)
        if joint.name in found.unlimited or given is None:
            given = round(max(_EFFORT_SHARE * _held_nm(urdf, found, joint.child), _EFFORT_MIN_NM), 1)
            said.append(f"{joint.name} has no effort limit: {given:g} Nm")
        efforts.append(given)
    return tuple(efforts), said


def _held_nm(urdf: Urdf, found: Cleaned, link: str) -> float:
    """Return the most torque that gravity can put on the joint that carries `link`: all of it stretched out flat."""
    carrier = {joint.child: joint for joint in urdf.joints.values()}
    masses = {one.get("name", ""): _mass_kg(one) for one in found.root.findall("link")}
    total = 0.0
    for name, mass in masses.items():
        away, at = 0.0, name
        while at in carrier and at != link:
            away += float(np.linalg.norm(carrier[at].origin[:3, 3]))
            at = carrier[at].parent
        total += mass * away if at == link else 0.0
    return _GRAVITY * total


def _mass_kg(link: ET.Element) -> float:
    mass = link.find("inertial/mass")
    return 0.0 if mass is None else floats(mass.get("value", ""), 1, _URDF)[0]


def _given_effort(root: ET.Element, name: str) -> float | None:
    for joint in root.findall("joint"):
        limit = joint.find("limit")
        if joint.get("name") == name and limit is not None and limit.get("effort"):
            return floats(limit.get("effort", ""), 1, _URDF)[0]
    return None


def _grip_n(urdf: Urdf, found: Cleaned, grip: Grip) -> tuple[float, list[str]]:
    if not grip.gripper_joints:
        return 0.0, []
    first = next(iter(grip.gripper_joints))
    slides = urdf.joint(first).kind == "prismatic"
    given = None if first in found.unlimited else _given_effort(found.root, first)
    if given is None:
        given = _GRIP_N if slides else _GRIP_MAX_NM
        return given, [f"{first} has no effort limit: {given:g} {'N' if slides else 'Nm'}"]
    return min(given, _GRIP_MAX_N if slides else _GRIP_MAX_NM), []


def _tasks(grip: Grip, place: Place) -> tuple[str, ...]:
    """Return the tasks that a robot like this one can try: all that single arms do, if its gripper is large enough."""
    if not grip.gripper_joints:
        return (REACH.spec.name,)
    able = {name: {*task(name).robots} for name in TASKS}
    whole = place.field.scale >= _PANDA_SIZED
    return tuple(
        name for name, robots in able.items() if robots >= {*SINGLE_ARMS} or (whole and robots & {*SINGLE_ARMS})
    )
