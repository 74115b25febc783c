"""What a robot looks like: the visual shapes of its URDF as one mesh per link, simplified once and kept in the cache.

Exports `link_meshes`. A process of its own makes them (see `mesh.load`), and every process reads them.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from platformdirs import user_cache_path

from sim.model.urdf import UrdfSyntaxError, find_mesh, floats, origin, urdf_files
from sim.pictures.mesh import CREASE_RAD, Mesh, joined, linear, load, of_shape
from sim.robot import RobotError, RobotModel
from sim.scene import Box, Cylinder, Rgba, Shape, Sphere

_MADE_BY: Final = f"3 {CREASE_RAD}"
"""Part of the cache's key: change it if the way to make the meshes changes."""
_GREY: Final[Rgba] = (0.7, 0.7, 0.7, 1.0)
_FIELDS: Final = ("positions", "normals", "colours", "triangles")


class VisualsError(RobotError):
    """A robot's meshes cannot be made or kept."""


def link_meshes(model: RobotModel, edge_m: float = 0.0) -> dict[str, Mesh]:
    """Return the mesh of each link that is seen, in the link's frame; raise a UrdfError, or VisualsError.

    Meshes are simplified to edges of about `edge_m`; 0 leaves them as they are.
    """
    kept = _place(model, edge_m)
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "sim.pictures.visuals",
            model.name,
            str(model.root),
            model.urdf,
            str(edge_m),
            str(kept),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise VisualsError(f"expected the meshes of {model.name}: {done.stderr.strip().splitlines()[-1:]}")
    try:
        with np.load(kept) as file:
            return {name: Mesh(*(file[f"{name}/{field}"] for field in _FIELDS)) for name in file["links"].tolist()}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise VisualsError(f"expected meshes in {kept}: {error}; delete the file, and it is made again") from error


def make(model: RobotModel, edge_m: float) -> dict[str, Mesh]:
    """Return what `link_meshes` caches, made from the URDF and its mesh files."""
    root = ET.parse(model.urdf_path).getroot()
    materials = {
        name: rgba
        for element in root.findall("material")
        if (name := element.get("name")) and (rgba := _rgba(element, model.urdf_path)) is not None
    }
    for element in root.iter("material"):  # a material may be defined where it is first used
        name, rgba = element.get("name"), _rgba(element, model.urdf_path)
        if name and rgba is not None:
            materials.setdefault(name, rgba)
    found: dict[str, Mesh] = {}
    for link in root.findall("link"):
        meshes = [_visual(visual, materials, model, edge_m) for visual in link.findall("visual")]
        if meshes:
            found[link.get("name", "")] = joined(meshes)
    return found


def _visual(visual: ET.Element, materials: Mapping[str, Rgba], model: RobotModel, edge_m: float) -> Mesh:
    path = model.urdf_path
    rgb = tuple(linear(value) for value in _colour(visual.find("material"), materials, path)[:3])
    shape = visual.find("geometry/*")
    if shape is None:
        raise UrdfSyntaxError(f"{path}: expected a shape in <visual>, found none")
    if shape.tag == "mesh":
        scale = np.array(floats(shape.get("scale", "1 1 1"), 3, path))
        mesh = load(find_mesh(shape.get("filename", ""), model), rgb, scale, edge_m)
    else:
        mesh = of_shape(_primitive(shape, path), rgb)
    return mesh.placed(origin(visual.find("origin"), path))


def _primitive(shape: ET.Element, path: Path) -> Shape:
    if shape.tag == "box":
        x, y, z = floats(shape.get("size", ""), 3, path)
        return Box((0.5 * x, 0.5 * y, 0.5 * z))
    if shape.tag == "sphere":
        return Sphere(floats(shape.get("radius", ""), 1, path)[0])
    if shape.tag == "cylinder":
        return Cylinder(floats(shape.get("radius", ""), 1, path)[0], floats(shape.get("length", ""), 1, path)[0])
    raise UrdfSyntaxError(f"{path}: expected a box, cylinder, sphere or mesh to draw, got <{shape.tag}>")


def _colour(material: ET.Element | None, materials: Mapping[str, Rgba], path: Path) -> Rgba:
    if material is None:
        return _GREY
    return _rgba(material, path) or materials.get(material.get("name", ""), _GREY)


def _rgba(material: ET.Element, path: Path) -> Rgba | None:
    colour = material.find("color")
    if colour is None:
        return None
    red, green, blue, opacity = floats(colour.get("rgba", ""), 4, path)
    return red, green, blue, opacity


def _place(model: RobotModel, edge_m: float) -> Path:
    digest = hashlib.sha256(f"{_MADE_BY} {edge_m}".encode())
    for path in urdf_files(model):
        beside = path.with_suffix(".mtl")
        for file in (path, beside) if beside.is_file() else (path,):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return user_cache_path("armshare") / "meshes" / f"{model.name}-{digest.hexdigest()[:16]}.npz"


def _keep(meshes: Mapping[str, Mesh], place: Path) -> None:
    """Write the file whole or not at all; several processes may do so at once."""
    arrays = {f"{name}/{field}": getattr(mesh, field) for name, mesh in meshes.items() for field in _FIELDS}
    with tempfile.NamedTemporaryFile(dir=place.parent, suffix=".npz", delete=False) as file:
        np.savez(file, links=np.array(list(meshes)), **arrays)
    Path(file.name).replace(place)


if __name__ == "__main__":
    name, root, urdf, edge_m, kept = sys.argv[1:]
    _keep(make(RobotModel(name, Path(root), urdf), float(edge_m)), Path(kept))
