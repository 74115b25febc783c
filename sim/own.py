"""Robots that a person has added: a folder each, with the URDF, its meshes and the description as `robot.json`.

`armshare robot add` writes them (`sim/bring/`), below `robots/` in the data folder; the catalogue finds them by name.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from sim.description import Field, Hand, RobotDescription
from sim.robot import RobotError, RobotModel

DATA: Final = "ARMSHARE_DATA"
"""The environment variable that names the data folder; child processes inherit it."""
FILE: Final = "robot.json"
FORMAT: Final = 1
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class OwnRobotError(RobotError):
    """The description of an added robot cannot be read or written."""


@dataclass(frozen=True, slots=True)
class OwnRobot:
    """What `robot.json` holds: a description without the place of its files, which is the folder's."""

    urdf: str
    joint_names: tuple[str, ...]
    joint_lower_rad: tuple[float, ...]
    joint_upper_rad: tuple[float, ...]
    joint_velocity_max_rad_s: tuple[float, ...]
    joint_effort_max_nm: tuple[float, ...]
    home_rad: tuple[float, ...]
    hands: tuple[Hand, ...]
    field: Field
    tasks: tuple[str, ...]
    """The tasks that it is offered for."""
    acceleration_time_s: float = 0.15
    assumed: tuple[str, ...] = ()
    """What its URDF did not say, in sentences."""
    format: int = FORMAT

    def description(self, folder: Path) -> RobotDescription:
        """Return the robot as every other part of the project takes it; `folder` holds it and gives its name."""
        return RobotDescription(
            model=RobotModel(folder.name, folder, self.urdf),
            joint_names=self.joint_names,
            joint_lower_rad=self.joint_lower_rad,
            joint_upper_rad=self.joint_upper_rad,
            joint_velocity_max_rad_s=self.joint_velocity_max_rad_s,
            joint_effort_max_nm=self.joint_effort_max_nm,
            home_rad=self.home_rad,
            hands=self.hands,
            field=self.field,
            acceleration_time_s=self.acceleration_time_s,
        )


_DECODER: Final = msgspec.json.Decoder(OwnRobot)


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
        robot = _DECODER.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise OwnRobotError(f"{path} is no robot's description: {error}; mend it, or add the robot again") from error
    if robot.format != FORMAT:
        raise OwnRobotError(f"{path} is of format {robot.format}, and this version reads {FORMAT}; add the robot again")
    per_joint = (robot.joint_lower_rad, robot.joint_upper_rad, robot.joint_velocity_max_rad_s)
    for values in (*per_joint, robot.joint_effort_max_nm, robot.home_rad):
        if len(values) != len(robot.joint_names):
            raise OwnRobotError(f"{path}: {list(values)} should be {len(robot.joint_names)} values, one for each joint")
    if not robot.hands or Path(robot.urdf).name != robot.urdf:
        raise OwnRobotError(f"{path}: it needs at least one hand, and its URDF beside the file, not {robot.urdf!r}")
    return robot


def write(robot: OwnRobot, folder: Path) -> None:
    """Write the description into `folder`, as text that a person can edit."""
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(robot), indent=2) + b"\n")
