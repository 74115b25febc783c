"""Which files describe a robot: the SHA-256 of its URDF and of each mesh that the URDF names."""

from __future__ import annotations

import hashlib
from pathlib import Path
from xml.etree import ElementTree

from sim.robot import RobotModel


def hash_description(model: RobotModel) -> dict[str, str]:
    """Return path below `model.root` -> SHA-256, for the URDF and for those of its meshes that are there.

    A mesh's `package://x/y` is looked for as `x/y` and as `y` below the root, and beside the URDF.
    """
    root = model.root.resolve()
    found = {model.urdf_path.resolve()}
    for mesh in ElementTree.parse(model.urdf_path).iter("mesh"):  # the host's own file, not a stranger's
        found.update(_places(mesh.get("filename", ""), root, model.urdf_path.resolve().parent))
    inside = sorted(path for path in found if path.is_relative_to(root))
    return {path.relative_to(root).as_posix(): hash_file(path) for path in inside}


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _places(filename: str, root: Path, beside: Path) -> set[Path]:
    relative = filename.removeprefix("package://").lstrip("/")
    candidates = [root / relative, root / relative.partition("/")[2], beside / relative]
    return {path.resolve() for path in candidates if relative and path.is_file()}
