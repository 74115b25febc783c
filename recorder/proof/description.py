"""Which files describe a robot: the SHA-256 of its URDF and of each mesh that the URDF names."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sim.model.urdf import urdf_files
from sim.robot import RobotModel


def hash_description(model: RobotModel) -> dict[str, str]:
    """Return path below `model.root` -> SHA-256, for the URDF and for each mesh that it names; raise a UrdfError."""
    root = model.root.resolve()
    return {path.resolve().relative_to(root).as_posix(): hash_file(path) for path in urdf_files(model)}


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
