"""Triangle meshes to draw: from primitives and from mesh files, simplified, with normals that keep edges sharp.

Exports `Mesh`. Metres; colours are linear red, green, blue in [0, 1].
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.robot import RobotError, Vector
from sim.scene import Box, Cylinder, Shape

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]
Colour = tuple[float, float, float]

CREASE_RAD: Final = 0.7
"""Faces that meet at a sharper angle keep a hard edge between them."""
_CAREFUL: Final = 3
"""How fast the simplifier works: 0 slow, 10 fast."""
_FEWEST: Final = 40
"""Meshes with fewer triangles stay as they are."""
_NO_MATERIAL: Final = "None"
"""What Blender writes if a mesh has no material: its colours mean nothing."""
_SIDES: Final = 24
_NO_AREA_M2: Final = 1e-13


class MeshSyntaxError(RobotError):
    """A mesh file cannot be read."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles with one colour per vertex."""

    positions: Floats
    """(V, 3) float32, m."""
    normals: Floats
    """(V, 3) float32, of unit length."""
    colours: Floats
    """(V, 3) float32, linear."""
    triangles: Indices
    """(T, 3) int32, into the vertices, counter-clockwise from outside."""

    def placed(self, frame: Vector) -> Mesh:
        """Return the mesh moved by a rigid transform (4, 4)."""
        turn, shift = frame[:3, :3].astype(np.float32), frame[:3, 3].astype(np.float32)
        return Mesh(self.positions @ turn.T + shift, self.normals @ turn.T, self.colours, self.triangles)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Return all of them as one."""
    starts = np.cumsum([0, *(len(mesh.positions) for mesh in meshes)])[: len(meshes)]
    triangles = [mesh.triangles + int(start) for mesh, start in zip(meshes, starts, strict=True)]
    return Mesh(
        np.concatenate([mesh.positions for mesh in meshes] or [np.zeros((0, 3), np.float32)]),
        np.concatenate([mesh.normals for mesh in meshes] or [np.zeros((0, 3), np.float32)]),
        np.concatenate([mesh.colours for mesh in meshes] or [np.zeros((0, 3), np.float32)]),
        np.concatenate(triangles or [np.zeros((0, 3), np.int32)]).astype(np.int32),
    )


def of_shape(shape: Shape, rgb: Sequence[float]) -> Mesh:
    """Return a primitive, centred, in one colour."""
    if isinstance(shape, Box):
        points, faces = _box(shape.half_extents_m)
    elif isinstance(shape, Cylinder):
        points, faces = _cylinder(shape.radius_m, shape.length_m)
    else:
        points, faces = _ball(shape.radius_m)
    return shaded(points, faces, rgb)


def load(path: Path, rgb: Sequence[float], scale: Vector, edge_m: float) -> Mesh:
    """Return a mesh file in its own colours, or in `rgb` if it has none, scaled and simplified to edges of `edge_m`.

    Raises MeshSyntaxError. The simplifier has been seen to corrupt the heap of processes that also run SciPy: call this
    in a process of its own.
    """
    return joined([_drawn(points * scale, faces, colour or rgb, edge_m) for points, faces, colour in parts(path)])


def _drawn(points: Vector, faces: Indices, rgb: Sequence[float], edge_m: float) -> Mesh:
    whole = shaded(points, faces, rgb)
    fewer = simplified(points, faces, edge_m)
    return whole if len(fewer[1]) >= len(faces) else _relit(*fewer, whole, rgb)


def simplified(points: Vector, faces: Indices, edge_m: float) -> tuple[Vector, Indices]:
    """Return a mesh (V, 3), (T, 3) of about the same surface with edges of about `edge_m`, never with more triangles.

    0 leaves it as it is. Edges become longer where a surface is flat, and shorter where it bends.

    M. Garland and P. S. Heckbert, "Surface simplification using quadric error metrics", SIGGRAPH 1997.
    """
    from fast_simplification import simplify

    wanted = max(int(_areas(points, faces).sum() * 2.0 / edge_m**2), _FEWEST) if edge_m > 0.0 else len(faces)
    if wanted >= len(faces):
        return points, faces
    found, kept = simplify(points.astype(np.float32), faces, target_count=wanted, agg=_CAREFUL)
    return welded(found.astype(np.float64), kept.astype(np.int32))


def _relit(points: Vector, faces: Indices, whole: Mesh, rgb: Sequence[float]) -> Mesh:
    """Return a simplified mesh with the normals of the original surface, so that it is lit as before.

    A corner takes the mean of the nearest normals of `whole` that point the same way as its face.
    """
    flat = _flat(points, faces)
    near = _nearest(points, whole.positions)
    theirs = whole.normals[near[faces.ravel()]]
    same_way = np.clip(np.einsum("ckj,cj->ck", theirs, np.repeat(flat, 3, axis=0)), 0.0, None)
    away = np.linalg.norm(whole.positions[near] - points[:, None], axis=2)[faces.ravel()]
    weights = np.where(same_way > np.cos(CREASE_RAD), same_way / (away + 1e-4) ** 2, 0.0)
    normals = np.einsum("ck,ckj->cj", weights, theirs)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(lengths > 1e-9, normals / np.maximum(lengths, 1e-9), np.repeat(flat, 3, axis=0))
    return _indexed(points[faces.ravel()], normals, rgb)


def _nearest(points: Vector, others: Floats, count: int = 12) -> NDArray[np.intp]:
    """Return (V, count): for each of `points` (V, 3) the nearest of `others`."""
    count = min(count, len(others))
    squares = np.einsum("ij,ij->i", others, others)
    found = []
    for block in np.array_split(points.astype(np.float32), max(len(points) // 256, 1)):
        away = squares - 2.0 * block @ others.T
        found.append(np.argpartition(away, count - 1, axis=1)[:, :count])
    return np.concatenate(found)


def _areas(points: Vector, faces: Indices) -> Vector:
    corners = points[faces]
    doubled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas: Vector = 0.5 * np.linalg.norm(doubled, axis=1)
    return areas


def _flat(points: Vector, faces: Indices) -> Vector:
    corners = points[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat: Vector = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-20)
    return flat


def shaded(points: Vector, faces: Indices, rgb: Sequence[float]) -> Mesh:
    """Return a mesh whose normals are smooth except across creases."""
    points, faces = welded(points, faces)
    return _indexed(points[faces.ravel()], _smooth(points, faces), rgb)


def _indexed(corners: Vector, normals: Vector, rgb: Sequence[float]) -> Mesh:
    """Return a mesh of triangles' corners (3 T, 3), each vertex once."""
    rows = np.hstack([corners, np.round(normals, 3)]).astype(np.float32)
    unique, index = np.unique(rows, axis=0, return_inverse=True)
    lengths = np.linalg.norm(unique[:, 3:], axis=1, keepdims=True)
    return Mesh(
        np.ascontiguousarray(unique[:, :3]),
        np.ascontiguousarray(unique[:, 3:] / np.maximum(lengths, 1e-6)),
        np.tile(np.asarray(rgb[:3], np.float32), (len(unique), 1)),
        index.reshape(-1, 3).astype(np.int32),
    )


def welded(points: Vector, faces: Indices) -> tuple[Vector, Indices]:
    """Return the mesh with one vertex at each place, and without triangles of zero area."""
    _, first, index = np.unique(np.round(points, 7), axis=0, return_index=True, return_inverse=True)
    faces = index.ravel()[faces].astype(np.int32)
    return points[first], faces[_areas(points[first], faces) > _NO_AREA_M2]


def _smooth(points: Vector, faces: Indices) -> Vector:
    """Return for each corner (3 T, 3) the mean of the normals around its vertex that are within the crease angle."""
    flat = _flat(points, faces)
    across = flat * _areas(points, faces)[:, None]
    corner_vertex = faces.ravel()
    order = np.argsort(corner_vertex, kind="stable")
    counts = np.bincount(corner_vertex)
    starts = np.concatenate([[0], np.cumsum(counts)])
    total = np.zeros((len(corner_vertex), 3))
    own = np.repeat(np.arange(len(faces)), 3)
    for nth in range(int(counts.max(initial=0))):
        has = counts[corner_vertex] > nth
        other = order[starts[corner_vertex[has]] + nth] // 3
        near = np.einsum("ij,ij->i", flat[other], flat[own[has]]) > np.cos(CREASE_RAD)
        total[np.flatnonzero(has)[near]] += across[other[near]]
    lengths = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(lengths > 1e-20, total / np.maximum(lengths, 1e-20), flat[own])


def _box(half: Sequence[float]) -> tuple[Vector, Indices]:
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    return corners * np.asarray(half), _halved(quads)


def _cylinder(radius: float, length: float) -> tuple[Vector, Indices]:
    angles = 2.0 * np.pi * np.arange(_SIDES) / _SIDES
    rim = np.column_stack([radius * np.cos(angles), radius * np.sin(angles)])
    low, high = (np.column_stack([rim, np.full(_SIDES, z)]) for z in (-0.5 * length, 0.5 * length))
    points = np.vstack([low, high, [(0.0, 0.0, -0.5 * length), (0.0, 0.0, 0.5 * length)]])
    around = [(i, (i + 1) % _SIDES) for i in range(_SIDES)]
    side = _halved([(i, j, j + _SIDES, i + _SIDES) for i, j in around])
    caps = [(2 * _SIDES, j, i) for i, j in around] + [(2 * _SIDES + 1, i + _SIDES, j + _SIDES) for i, j in around]
    return points, np.vstack([side, np.array(caps, np.int32)])


def _ball(radius: float) -> tuple[Vector, Indices]:
    rings, sides = _SIDES // 2, _SIDES
    polar = np.pi * np.arange(1, rings) / rings
    angles = 2.0 * np.pi * np.arange(sides) / sides
    middle = [(np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)) for p in polar for a in angles]
    points = np.array([*middle, (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)]) * radius
    top, bottom, last = len(middle), len(middle) + 1, (rings - 2) * sides
    around = [(i, (i + 1) % sides) for i in range(sides)]
    quads = [
        (r * sides + i, (r + 1) * sides + i, (r + 1) * sides + j, r * sides + j)
        for r in range(rings - 2)
        for i, j in around
    ]
    caps = [(top, i, j) for i, j in around] + [(bottom, last + j, last + i) for i, j in around]
    return points, np.vstack([_halved(quads), np.array(caps, np.int32)])


def _halved(quads: Sequence[Sequence[int]]) -> Indices:
    return np.array([half for a, b, c, d in quads for half in ((a, b, c), (a, c, d))], np.int32)


def parts(path: Path, colours: Mapping[str, Colour] | None = None) -> Iterator[tuple[Vector, Indices, Colour | None]]:
    """Yield the parts of a mesh file: points (V, 3), faces (T, 3), and their own colour, linear; None: it has none.

    `colours` are those of an OBJ's materials; by default those of the .mtl of the same name. A COLLADA file's unit is
    applied, and its up axis is not, as ROS's and the browser's readers do. Raises MeshSyntaxError.
    """
    import trimesh

    library, unit_m = path.with_suffix(".mtl"), _unit_m(path)
    if colours is None:
        colours = colours_of(library) if path.suffix.lower() == ".obj" and library.is_file() else {}
    try:
        scene = trimesh.load_scene(path, process=False, split_object=False, group_material=True)
    except Exception as error:  # readers raise all kinds of errors on a bad file
        raise MeshSyntaxError(f"{path}: expected a mesh, got {type(error).__name__}: {error}") from error
    meshes = [mesh for mesh in scene.dump() if isinstance(mesh, trimesh.Trimesh)]  # no lines or points
    if not meshes:
        raise MeshSyntaxError(f"{path}: expected a mesh, found no triangle")
    for mesh in meshes:
        material = getattr(mesh.visual, "material", None)
        painted = path.suffix.lower() == ".dae" and material is not None
        colour = _factor(material) if painted else colours.get(getattr(material, "name", None) or "")
        points = unit_m * np.asarray(mesh.vertices, np.float64)
        yield *welded(points, np.asarray(mesh.faces, np.int32)), colour


def _factor(material: Any) -> Colour:
    """Return the linear colour of a COLLADA effect, which is written as a screen shows it."""
    red, green, blue = (linear(float(value) / 255.0) for value in material.main_color[:3])
    return red, green, blue


def _unit_m(path: Path) -> float:
    """Return how many metres a COLLADA file's unit is; 1 for every other file."""
    if path.suffix.lower() != ".dae":
        return 1.0
    try:
        with path.open("rb") as file:
            for _, element in ET.iterparse(file):
                if element.tag.rpartition("}")[2] == "unit":
                    return float(element.get("meter", "1"))
    except (ET.ParseError, ValueError) as error:
        raise MeshSyntaxError(f"{path}: expected COLLADA, got {error}") from error
    return 1.0


def colours_of(library: Path) -> dict[str, Colour]:
    """Return the diffuse colour, linear, of each material in an .mtl; robots' textures are baked lighting."""
    found: dict[str, Colour] = {}
    name = ""
    for line in library.read_text("utf-8", "replace").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "newmtl":
            name = rest.strip()
        numbers = re.findall(r"[-+.\deE]+", rest)
        if word == "Kd" and len(numbers) >= 3 and name != _NO_MATERIAL:
            red, green, blue = (linear(float(number)) for number in numbers[:3])
            found[name] = (red, green, blue)
    return found


def linear(encoded: float) -> float:
    """Return the linear value of an sRGB one (IEC 61966-2-1)."""
    return encoded / 12.92 if encoded <= 0.04045 else float(((encoded + 0.055) / 1.055) ** 2.4)


def encoded(value: float) -> float:
    """Return the sRGB value of a linear one (IEC 61966-2-1)."""
    return 12.92 * value if value <= 0.0031308 else float(1.055 * value ** (1.0 / 2.4) - 0.055)
