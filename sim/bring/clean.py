"""A published URDF becomes one that every reader here takes the same way: meshes, masses, limits, nothing else.

Exports `cleaned`. What the file does not say is assumed, and each assumption is a sentence.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from sim.bring.shapes import Form, MeshesError, Shelf
from sim.bring.source import Source
from sim.model.urdf import UrdfSyntaxError, floats, origin
from sim.pictures.mesh import MeshSyntaxError, of_shape
from sim.robot import Vector
from sim.scene import Box, Cylinder, Shape, Sphere

DENSITY_KG_M3: Final = 1000.0
FRAME_KG: Final = 0.001
"""The mass of a link that nothing moves and that has no shape: a frame."""
CARRIED_KG: Final = 0.1
"""The mass of a link that a joint moves and that has no shape: what a flange weighs."""
TURN_RAD: Final = math.pi
SPEED_RAD_S: Final = 1.5
SLIDE_M_S: Final = 0.1
_HUGE_M: Final = 20.0
_JOINT_PARTS: Final = ("parent", "child", "origin", "axis", "limit", "mimic", "dynamics")
_LINK_PARTS: Final = ("inertial", "visual", "collision")
_MOVING: Final = ("revolute", "prismatic", "continuous")
_LOOSE: Final = ("floating", "planar")


@dataclass(slots=True)
class Cleaned:
    """A robot's URDF as it will be kept, and what was found on the way."""

    root: ET.Element
    forms: dict[str, list[Form]] = field(default_factory=dict)
    """Link -> its shapes, in the link's frame."""
    touching: set[str] = field(default_factory=set)
    """The links that have a collision shape."""
    assumed: list[str] = field(default_factory=list)
    unlimited: set[str] = field(default_factory=set)
    """Joints whose effort the file does not say."""

    def points(self, link: str) -> Vector:
        """Return the points (V, 3) of a link's shapes in its frame."""
        return np.concatenate([form.points for form in self.forms.get(link, ())] or [np.zeros((0, 3))])


def cleaned(source: Source, name: str, folder: Path) -> Cleaned:
    """Return the URDF for a robot called `name`, its meshes converted into `folder`; raise a UrdfError."""
    root = ET.Element("robot", name=name)
    found = Cleaned(root)
    for element in source.root:
        if element.tag == "material":
            root.append(deepcopy(element))
    moved = {_link_of(joint, "child") for joint in source.root.findall("joint") if joint.get("type") in _MOVING}
    shelf, broken = Shelf(folder), dict[str, str]()
    for link in source.root.findall("link"):
        root.append(_link(link, found, _Meshes(source, shelf, broken)))
    for joint in source.root.findall("joint"):
        root.append(_joint(joint, found, source.urdf))
    if broken:
        named = "; ".join(f"{mesh} ({why})" for mesh, why in broken.items())
        raise MeshesError(f"{source.urdf}: these meshes cannot be read (STL, COLLADA, OBJ, PLY and OFF can): {named}")
    for link in root.findall("link"):
        _weigh(link, found, link.get("name", "") in moved, source.urdf)
    _say_colours(found, source, shelf)
    ET.indent(root)
    return found


@dataclass(frozen=True, slots=True)
class _Meshes:
    source: Source
    shelf: Shelf
    broken: dict[str, str]
    """The meshes that cannot be used, and why; they are said all at once."""

    def placed(self, mesh: ET.Element) -> Form | None:
        """Convert a mesh, and let the element name what it has become."""
        name = mesh.get("filename", "")
        path = self.source.find(name)
        if path is None:
            self.broken[name] = "there is no such file"
            return None
        scale = np.array(floats(mesh.get("scale", "1 1 1"), 3, self.source.urdf))
        try:
            kept = self.shelf.put(path, scale)
        except MeshSyntaxError as error:
            self.broken[name] = str(error)
            return None
        if float(np.ptp(kept.form.points, axis=0).max()) > _HUGE_M:
            self.broken[name] = f"it is over {_HUGE_M:g} m long: if it is in millimetres, scale it by 0.001"
        mesh.attrib.pop("scale", None)
        mesh.set("filename", kept.name)
        return kept.form


def _link(element: ET.Element, found: Cleaned, meshes: _Meshes) -> ET.Element:
    name = element.get("name", "")
    own = ET.Element("link", name=name)
    own.extend(deepcopy(part) for part in element if part.tag in _LINK_PARTS)
    for shape in [*own.findall("visual"), *own.findall("collision")]:
        form = _form(shape, meshes)
        if form is not None:
            found.forms.setdefault(name, []).append(form)
    if own.find("collision") is not None:
        found.touching.add(name)
        if own.find("visual") is None:
            for shape in own.findall("collision"):
                seen = deepcopy(shape)
                seen.tag = "visual"
                own.append(seen)
            found.assumed.append(f"{name} has nothing to draw: its collision shape is drawn")
    elif own.find("visual") is not None:
        found.assumed.append(f"{name} has no collision shape: it is seen and touches nothing")
    return own


def _form(shape: ET.Element, meshes: _Meshes) -> Form | None:
    """Return the shape of a visual or collision in its link's frame; None if it cannot be read, which is noted."""
    path, geometry = meshes.source.urdf, shape.find("geometry/*")
    if geometry is None:
        raise UrdfSyntaxError(f"{path}: expected a shape in <{shape.tag}>, found none")
    form = meshes.placed(geometry) if geometry.tag == "mesh" else _primitive(geometry, path)
    if form is None:
        return None
    frame = origin(shape.find("origin"), path)
    return replace(form, points=form.points @ frame[:3, :3].T + frame[:3, 3], solid=shape.tag == "collision")


def _primitive(geometry: ET.Element, path: Path) -> Form:
    shape: Shape
    if geometry.tag == "box":
        x, y, z = floats(geometry.get("size", ""), 3, path)
        shape, volume = Box((0.5 * x, 0.5 * y, 0.5 * z)), x * y * z
    elif geometry.tag == "sphere":
        radius = floats(geometry.get("radius", ""), 1, path)[0]
        shape, volume = Sphere(radius), 4.0 / 3.0 * math.pi * radius**3
    elif geometry.tag == "cylinder":
        radius, length = (floats(geometry.get(key, ""), 1, path)[0] for key in ("radius", "length"))
        shape, volume = Cylinder(radius, length), math.pi * radius**2 * length
    else:
        raise UrdfSyntaxError(f"{path}: expected a box, cylinder, sphere or mesh, got <{geometry.tag}>")
    return Form(of_shape(shape, (0.7, 0.7, 0.7)).positions.astype(np.float64), volume)


def _weigh(link: ET.Element, found: Cleaned, moved: bool, path: Path) -> None:
    """Give a link without a mass one: the engine would give it a kilogram."""
    name, inertial = link.get("name", ""), link.find("inertial")
    mass = None if inertial is None else inertial.find("mass")
    if mass is not None and floats(mass.get("value", ""), 1, path)[0] > 0.0:
        return
    if inertial is not None:
        link.remove(inertial)
    points = found.points(name)
    if len(points):
        solid = [form for form in found.forms[name] if form.solid] or found.forms[name]
        kg = max(DENSITY_KG_M3 * sum(form.volume_m3 for form in solid), FRAME_KG)
        found.assumed.append(f"{name} has no mass: {kg:.2g} kg, its volume at {DENSITY_KG_M3:g} kg/m3")
        low, high = points.min(axis=0), points.max(axis=0)
    else:
        kg = CARRIED_KG if moved else FRAME_KG
        found.assumed.append(f"{name} has no mass and no shape: {kg:g} kg")
        low, high = np.full(3, -0.01), np.full(3, 0.01)
    link.append(_inertial(kg, 0.5 * (low + high), high - low))


def _inertial(kg: float, middle: Vector, size: Vector) -> ET.Element:
    """Return the inertial element of a box."""
    inertial = ET.Element("inertial")
    ET.SubElement(inertial, "origin", xyz=" ".join(f"{value:.6g}" for value in middle))
    ET.SubElement(inertial, "mass", value=f"{kg:.6g}")
    x2, y2, z2 = np.maximum(size, 0.005) ** 2
    own = {"ixx": y2 + z2, "iyy": x2 + z2, "izz": x2 + y2}
    named = {key: f"{kg * value / 12.0:.6g}" for key, value in own.items()}
    ET.SubElement(inertial, "inertia", {**named, "ixy": "0", "ixz": "0", "iyz": "0"})
    return inertial


def _joint(element: ET.Element, found: Cleaned, path: Path) -> ET.Element:
    name, kind = element.get("name", ""), element.get("type", "")
    if kind in _LOOSE:
        found.assumed.append(f"{name} is {kind}: it is welded")
        kind = "fixed"
    own = ET.Element("joint", name=name, type=kind)
    own.extend(deepcopy(part) for part in element if part.tag in _JOINT_PARTS)
    if kind in _MOVING:
        limit = own.find("limit")
        if limit is None:
            limit = ET.SubElement(own, "limit")
        _limit(limit, name, kind, found, path)
    return own


def _limit(limit: ET.Element, name: str, kind: str, found: Cleaned, path: Path) -> None:
    unit = "m" if kind == "prismatic" else "rad"
    if kind != "continuous":
        low, high = (floats(limit.get(key, "0"), 1, path)[0] for key in ("lower", "upper"))
        if not low < high:
            low, high = (0.0, 0.04) if kind == "prismatic" else (-TURN_RAD, TURN_RAD)
            found.assumed.append(f"{name} has no limits: {low:.4g} to {high:.4g} {unit}")
            limit.set("lower", repr(low))
            limit.set("upper", repr(high))
    if not floats(limit.get("velocity", "0"), 1, path)[0] > 0.0:
        fastest = SLIDE_M_S if kind == "prismatic" else SPEED_RAD_S
        found.assumed.append(f"{name} has no speed limit: {fastest:g} {unit}/s")
        limit.set("velocity", repr(fastest))
    if not floats(limit.get("effort", "0"), 1, path)[0] > 0.0:
        found.unlimited.add(name)


def _say_colours(found: Cleaned, source: Source, shelf: Shelf) -> None:
    """Say which meshes are grey because neither they nor the URDF have a colour."""
    painted = {element.get("name") for element in source.root.iter("material") if element.find("color") is not None}
    coloured = {kept.name for kept in shelf.kept if kept.coloured}
    grey = dict.fromkeys(
        link.get("name", "")
        for link in found.root.findall("link")
        for visual in link.findall("visual")
        if not _has_colour(visual, painted)
        and not any(mesh.get("filename") in coloured for mesh in visual.iter("mesh"))
    )
    if coloured:
        found.assumed.append(
            f"colours from the meshes themselves: {', '.join(sorted(Path(name).stem for name in coloured))}"
        )
    if grey:
        found.assumed.append(f"no colour, neither in the mesh nor in the URDF, so grey: {', '.join(grey)}")


def _has_colour(visual: ET.Element, painted: set[str | None]) -> bool:
    material = visual.find("material")
    return material is not None and (material.find("color") is not None or material.get("name") in painted)


def _link_of(joint: ET.Element, end: str) -> str:
    element = joint.find(end)
    return "" if element is None else element.get("link", "")
