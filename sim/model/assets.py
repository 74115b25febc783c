"""Which files of a robot's model others may have, by the names under which its URDF's readers ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from sim.model.urdf import MeshMissingError, find_mesh, urdf_files
from sim.robot import RobotModel


def asset(model: RobotModel, path: str) -> Path | None:
    """Return the file at `path` below the model's root; None if there is none, or it is not one of the model's.

    The model's files are those in the URDF's folder, and what the URDF names, wherever below the root that is. `path`
    may also be the name of a package and of a file in it, below the URDF's folder: the way that a reader takes which
    knows nothing of `package://NAME/...` but NAME.
    """
    folder, root = model.urdf_path.parent.resolve(), model.root.resolve()
    for found in _meant(model, path):
        file = found.resolve()
        if file.is_file() and file.is_relative_to(root) and (file.is_relative_to(folder) or file in _named(model)):
            return file
    return None


def _meant(model: RobotModel, path: str) -> Iterator[Path]:
    yield model.root / path
    beside = PurePosixPath(model.urdf).parent
    asked = PurePosixPath(path)
    if asked.is_relative_to(beside):
        try:
            yield find_mesh(f"package://{asked.relative_to(beside).as_posix()}", model)
        except MeshMissingError:
            return


def _named(model: RobotModel) -> frozenset[Path]:
    """Return the files that the URDF names, and the .mtl files beside its meshes."""
    return _named_by(model, model.urdf_path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _named_by(model: RobotModel, _mtime_ns: int) -> frozenset[Path]:
    files = [path.resolve() for path in urdf_files(model)]
    return frozenset((*files, *(path.with_suffix(".mtl") for path in files)))
