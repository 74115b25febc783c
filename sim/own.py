"""Robots that a person has added: a folder each, with the URDF, its meshes and the description as `robot.json`.

`armshare robot add` writes them (`sim/bring/`), below `robots/` in the data folder; the catalogue finds them by name.
"""

from __future__ import annotations

import os
import re
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Final, get_type_hints

import msgspec

from sim.description import RobotDescription
from sim.places import DATA
from sim.robot import RobotError, RobotModel

FILE: Final = "robot.json"
FORMAT: Final = 1
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class OwnRobotError(RobotError):
    """The description of an added robot cannot be read or written."""


@dataclass(frozen=True, slots=True)
class OwnRobot:
    """A robot that was added: the robot as every other part of the project takes it, and what only such a one has."""

    description: RobotDescription
    tasks: tuple[str, ...]
    """The tasks that it is offered for."""
    assumed: tuple[str, ...] = ()
    """What its URDF did not say, in sentences."""


_NOT_SAID: Final = ("model", "base")
"""Of a description: the folder is the model's place, and a robot that was added has no mobile base."""
_SAID: Final = tuple(one for one in fields(RobotDescription) if one.name not in _NOT_SAID)
_TYPES: Final = get_type_hints(RobotDescription)
_File: Final = msgspec.defstruct(
    "RobotFile",
    [
        ("urdf", str),
        *((one.name, _TYPES[one.name]) for one in _SAID if one.default is MISSING),
        ("tasks", tuple[str, ...]),
        *((one.name, _TYPES[one.name], one.default) for one in _SAID if one.default is not MISSING),
        ("assumed", tuple[str, ...], ()),
        ("format", int, FORMAT),
    ],
    frozen=True,
)
"""What `robot.json` holds."""
_DECODER: Final = msgspec.json.Decoder(_File)


def own_robots() -> Path:
    """Return the folder of added robots, which need not exist."""
    return Path(os.environ.get(DATA) or "data").absolute() / "robots"


def is_name(name: str) -> bool:
    """Whether a robot may be called so: the name is a folder's, and part of URLs."""
    return _NAME.fullmatch(name) is not None


def find(name: str) -> Path | None:
    """Return the folder of the added robot called `name`; None if there is none. Any text is safe to look up."""
    folder = own_robots() / name
    return folder if is_name(name) and (folder / FILE).is_file() else None


def names() -> tuple[str, ...]:
    """Return the names of all added robots, sorted."""
    folder = own_robots()
    found = folder.iterdir() if folder.is_dir() else ()
    return tuple(sorted(path.name for path in found if is_name(path.name) and (path / FILE).is_file()))


def read(folder: Path) -> OwnRobot:
    """Return what a folder's description says; raise OwnRobotError."""
    path = folder / FILE
    try:
        said = msgspec.structs.asdict(_DECODER.decode(path.read_bytes()))
    except (OSError, msgspec.DecodeError) as error:
        raise OwnRobotError(f"{path} is not a robot's description: {error}; mend it, or add the robot again") from error
    if said["format"] != FORMAT:
        found = said["format"]
        raise OwnRobotError(f"{path} is of format {found}, and this version reads {FORMAT}; add the robot again")
    model = RobotModel(folder.name, folder, said["urdf"])
    robot = RobotDescription(model=model, **{one.name: said[one.name] for one in _SAID})
    _require_whole(path, robot)
    return OwnRobot(robot, said["tasks"], said["assumed"])


def write(robot: OwnRobot, folder: Path) -> None:
    """Write the description into `folder`, as text that a person can edit."""
    said = {one.name: getattr(robot.description, one.name) for one in _SAID}
    whole = _File(urdf=robot.description.model.urdf, tasks=robot.tasks, assumed=robot.assumed, **said)
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")


def _require_whole(path: Path, robot: RobotDescription) -> None:
    per_joint = (robot.joint_lower_rad, robot.joint_upper_rad, robot.joint_velocity_max_rad_s)
    for values in (*per_joint, robot.joint_effort_max_nm, robot.home_rad):
        if len(values) != len(robot.joint_names):
            raise OwnRobotError(f"{path}: {list(values)} should be {len(robot.joint_names)} values, one for each joint")
    urdf = robot.model.urdf
    if not robot.hands or Path(urdf).name != urdf:
        raise OwnRobotError(f"{path}: it needs at least one hand, and its URDF beside the file, not {urdf!r}")
