"""Meshes of any format that a reader here knows become OBJ with an MTL: the format that all of them draw in colour.

The engine, the pictures and the page each read STL, COLLADA and OBJ in their own way (units, axes, normals, colours);
of what this module writes they make the same. Exports `Form` and `Shelf`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from sim.model.urdf import UrdfError
from sim.pictures.mesh import Colour, Indices, Mesh, MeshSyntaxError, colours_of, encoded, parts, shaded
from sim.robot import Vector

READ: Final = (".stl", ".dae", ".obj", ".ply", ".off")
"""The formats that can be converted."""
_GREY: Final = (0.7, 0.7, 0.7)


class MeshesError(UrdfError):
    """Meshes that no reader here takes, or that are not there, all of them named."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a link's shapes lie in its frame."""

    points: Vector
    """(V, 3) float64, m."""
    volume_m3: float
    solid: bool = True
    """Whether it is a collision shape."""


@dataclass(frozen=True, slots=True)
class Converted:
    """One mesh of the robot as it is kept."""

    name: str
    """Its file, below the robot's folder."""
    form: Form
    coloured: bool
    """Whether it has colours of its own."""


@dataclass(slots=True)
class Shelf:
    """The meshes of one robot, each converted once for each scale."""

    folder: Path
    _done: dict[tuple[Path, tuple[float, ...]], Converted] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    @property
    def kept(self) -> tuple[Converted, ...]:
        """All that was converted."""
        return tuple(self._done.values())

    def put(self, source: Path, scale: Vector) -> Converted:
        """Convert a mesh, with its scale (3,) built in; raise MeshSyntaxError."""
        key = source, tuple(scale.tolist())
        if key not in self._done:
            self._done[key] = self._convert(source, scale)
        return self._done[key]

    def _convert(self, source: Path, scale: Vector) -> Converted:
        if source.suffix.lower() not in READ:
            raise MeshSyntaxError(f"{source.name}: no reader here takes {source.suffix or 'a file without a suffix'}")
        pieces = _by_colour(source, scale)
        stem = self._free(source.stem)
        meshes = [(shaded(points, faces, colour or _GREY), colour) for points, faces, colour in pieces]
        (self.folder / "meshes").mkdir(parents=True, exist_ok=True)
        coloured = any(colour is not None for _, colour in meshes)
        place = self.folder / "meshes" / f"{stem}.obj"
        place.write_text(_obj(stem, meshes), "ascii")
        if coloured:
            place.with_suffix(".mtl").write_text(_mtl([colour for _, colour in meshes]), "ascii")
        points = np.concatenate([points for points, _, _ in pieces])
        volume = sum(_volume_m3(points, faces) for points, faces, _ in pieces)
        return Converted(f"meshes/{stem}.obj", Form(points, volume), coloured)

    def _free(self, stem: str) -> str:
        plain = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "_" for char in stem) or "mesh"
        name, count = plain, 1
        while name.lower() in self._names:
            count += 1
            name = f"{plain}-{count}"
        self._names.add(name.lower())
        return name


def _by_colour(source: Path, scale: Vector) -> list[tuple[Vector, Indices, Colour | None]]:
    """Return the mesh's triangles, scaled, in one piece for each colour."""
    found: dict[Colour | None, list[tuple[Vector, Indices]]] = {}
    for points, faces, colour in parts(source, _library(source)):
        if not np.isfinite(points).all():
            raise MeshSyntaxError(f"{source.name}: expected finite numbers, found others")
        outward = faces if np.prod(scale) > 0.0 else faces[:, ::-1]  # a mirrored mesh would be inside out
        if len(faces):
            found.setdefault(colour, []).append((points * scale, outward))
    if not found:
        raise MeshSyntaxError(f"{source.name}: expected a mesh, found no triangle with an area")
    return [(*_joined(pieces), colour) for colour, pieces in found.items()]


def _joined(pieces: Sequence[tuple[Vector, Indices]]) -> tuple[Vector, Indices]:
    starts = np.cumsum([0, *(len(points) for points, _ in pieces)])
    faces = [faces + start for (_, faces), start in zip(pieces, starts, strict=False)]
    return np.concatenate([points for points, _ in pieces]), np.concatenate(faces).astype(np.int32)


def _library(source: Path) -> dict[str, Colour] | None:
    """Return the colours that an OBJ names in a file beside it, whatever that file is called."""
    if source.suffix.lower() != ".obj":
        return None
    found: dict[str, Colour] = {}
    for line in source.read_text("utf-8", "replace").splitlines():
        if line.startswith("mtllib "):
            library = source.parent / line.removeprefix("mtllib ").strip()
            found |= colours_of(library) if library.is_file() else {}
    return found


def _obj(stem: str, meshes: Sequence[tuple[Mesh, Colour | None]]) -> str:
    """Return the text of an OBJ file: positions, normals that keep edges sharp, and a material for each colour."""
    lines = [f"mtllib {stem}.mtl"] if any(colour is not None for _, colour in meshes) else []
    start = 1
    for number, (mesh, colour) in enumerate(meshes):
        lines += [f"o part{number}"]
        lines += [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in mesh.positions.tolist()]
        lines += [f"vn {x:.4g} {y:.4g} {z:.4g}" for x, y, z in mesh.normals.tolist()]
        lines += [f"usemtl colour{number}"] if colour is not None else []
        corners = (mesh.triangles + start).tolist()
        lines += [f"f {a}//{a} {b}//{b} {c}//{c}" for a, b, c in corners]
        start += len(mesh.positions)
    return "\n".join(lines) + "\n"


def _mtl(colours: Sequence[Colour | None]) -> str:
    lines = []
    for number, colour in enumerate(colours):
        if colour is not None:
            red, green, blue = (encoded(value) for value in colour)
            lines += [f"newmtl colour{number}", f"Kd {red:.4f} {green:.4f} {blue:.4f}"]
    return "\n".join(lines) + "\n"


def _volume_m3(points: Vector, faces: Indices) -> float:
    """Return what a mesh encloses; of one that is not closed, half of its box."""
    a, b, c = (points[faces[:, corner]] - points.mean(axis=0) for corner in range(3))
    volume = abs(float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum())) / 6.0
    box = float(np.prod(points.max(axis=0) - points.min(axis=0)))
    return volume if 0.02 * box < volume <= box else 0.5 * box
