"""Reads a robot's description file: joints, limits and meshes of a URDF. Exports `Urdf` and paths.

Only what kinematics and hashing need is kept; drawing and physics read the same file themselves.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim import rotation
from sim.robot import RobotError, RobotModel
from sim.words import listed

Vector = NDArray[np.float64]

_ROTATING: Final = ("revolute", "continuous")
_KINDS: Final = (*_ROTATING, "prismatic", "fixed")


class UrdfError(RobotError):
    """A robot's description cannot be used; subclasses say why."""


class UrdfMissingError(UrdfError):
    """There is no URDF file at the path that the model names."""


class UrdfSyntaxError(UrdfError):
    """The file is not a URDF: not XML, or an element or number is missing or malformed."""


class UnknownLinkError(UrdfError):
    """A link was named that the URDF does not have, or that is not attached to the base."""


class UnknownJointError(UrdfError):
    """A joint was named that the URDF does not have, cannot move, or does not move the end effector."""


class EngineRefusedError(UrdfError):
    """The physics engine could not load a file that looks like a URDF."""


class MeshMissingError(UrdfError):
    """The URDF names a mesh that is not below the model's root."""


@dataclass(frozen=True, slots=True)
class Joint:
    """One joint of a URDF."""

    name: str
    kind: str
    parent: str
    child: str
    origin: Vector
    """(4, 4) float64: the joint's frame in the parent link's, at joint position zero."""
    axis: Vector
    """(3,) float64, of unit length, in the joint's frame."""
    lower: float
    """rad (m for a prismatic joint); minus infinity for a continuous joint."""
    upper: float
    velocity_max: float
    """rad/s (m/s for a prismatic joint); infinity if the file gives none."""

    @property
    def moves(self) -> bool:
        """Whether the joint has a position."""
        return self.kind != "fixed"

    @property
    def rotates(self) -> bool:
        """Whether the position is an angle."""
        return self.kind in _ROTATING


@dataclass(frozen=True, slots=True)
class Urdf:
    """The links and joints of one URDF file."""

    path: Path
    name: str
    links: tuple[str, ...]
    joints: Mapping[str, Joint]
    meshes: tuple[str, ...]
    """The `filename` of every mesh, as written, each once, in the order of the file."""

    @property
    def base_link(self) -> str:
        """The link that no joint carries."""
        carried = {joint.child for joint in self.joints.values()}
        roots = [link for link in self.links if link not in carried]
        if len(roots) != 1:
            raise UrdfSyntaxError(
                f"{self.path}: exactly one link has no parent in a URDF, and here it is {listed(roots)}"
            )
        return roots[0]

    def joint(self, name: str) -> Joint:
        """Return the joint called `name`; raise UnknownJointError."""
        if name not in self.joints:
            raise UnknownJointError(f"{self.path} has no joint {name!r}. It has {listed(self.joints)}.")
        return self.joints[name]

    def chain(self, base_link: str, ee_link: str) -> tuple[Joint, ...]:
        """Return the joints from `base_link` to `ee_link`, nearest the base first; raise UnknownLinkError."""
        for link in (base_link, ee_link):
            if link not in self.links:
                raise UnknownLinkError(f"{self.path} has no link {link!r}. It has {listed(self.links)}.")
        carrier = {joint.child: joint for joint in self.joints.values()}
        found: list[Joint] = []
        link = ee_link
        while link != base_link:
            if link not in carrier or len(found) > len(self.joints):
                raise UnknownLinkError(f"{self.path}: {ee_link!r} does not hang on {base_link!r}, but on {link!r}")
            found.append(carrier[link])
            link = carrier[link].parent
        return tuple(reversed(found))


def read_urdf(path: Path, *, ignore_links: Collection[str] = ()) -> Urdf:
    """Read a URDF, except `ignore_links` and the joints that carry them; raise UrdfMissingError or UrdfSyntaxError."""
    if not path.is_file():
        raise UrdfMissingError(f"There is no URDF at {path}.")
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        raise UrdfSyntaxError(f"{path} is not XML: {error}") from error
    if root.tag != "robot":
        raise UrdfSyntaxError(f"{path} is no URDF: it begins with <{root.tag}>, and a URDF with <robot>")
    carried = {element: element.find("child") for element in root.findall("joint")}
    joints = [
        _joint(element, path)
        for element, child in carried.items()
        if child is None or child.get("link") not in ignore_links
    ]
    links = tuple(_attribute(element, "name", path) for element in root.findall("link"))
    links = tuple(link for link in links if link not in ignore_links)
    _refuse_repeats([joint.name for joint in joints], "joint", path)
    _refuse_repeats(list(links), "link", path)
    meshes = (_attribute(element, "filename", path) for element in root.iter("mesh"))
    return Urdf(path, root.get("name", ""), links, {j.name: j for j in joints}, tuple(dict.fromkeys(meshes)))


def urdf_files(model: RobotModel) -> tuple[Path, ...]:
    """Return the URDF and every mesh it names, in a fixed order. Raises a UrdfError."""
    urdf = read_urdf(model.urdf_path)
    return (model.urdf_path, *sorted({find_mesh(name, model) for name in urdf.meshes}))


def require_whole(model: RobotModel) -> Urdf:
    """Return a model's URDF if all of it is attached to one base and every mesh exists; raise a UrdfError otherwise.

    An engine may crash on less: PyBullet does if two links have no parent.
    """
    urdf = read_urdf(model.urdf_path)
    for joint in urdf.joints.values():
        lost = {joint.parent, joint.child} - {*urdf.links}
        if lost:
            raise UnknownLinkError(f"{urdf.path}: expected {joint.name!r} between its links, got {sorted(lost)}")
    _refuse_repeats([joint.child for joint in urdf.joints.values()], "link on one joint", urdf.path)
    base = urdf.base_link
    for link in urdf.links:
        urdf.chain(base, link)
    for name in urdf.meshes:
        find_mesh(name, model)
    return urdf


def find_mesh(name: str, model: RobotModel) -> Path:
    """Return a mesh beside the URDF or below the root, with or without a package's name after `package://`."""
    relative = Path(name.removeprefix("package://"))
    tails = [relative, Path(*relative.parts[1:])] if name.startswith("package://") else [relative]
    root = model.root.resolve()
    for folder in (model.urdf_path.parent, model.root):
        for tail in tails:
            found = (folder / tail).resolve()
            if found.is_file() and found.is_relative_to(root):
                return folder / tail
    raise MeshMissingError(f"{model.urdf_path}: there is no mesh {name!r} below {model.root}")


def _joint(element: ET.Element, path: Path) -> Joint:
    name, kind = _attribute(element, "name", path), _attribute(element, "type", path)
    if kind not in _KINDS:
        raise UrdfSyntaxError(f"{path}: joint {name!r} is {kind!r}, and can be {listed(_KINDS, 'or')}")
    ends = {tag: element.find(tag) for tag in ("parent", "child")}
    names = [_attribute(_present(end, tag, name, path), "link", path) for tag, end in ends.items()]
    axis = _axis(element.find("axis"), name, path) if kind != "fixed" else np.array((1.0, 0.0, 0.0))
    limit = element.find("limit")
    if limit is None and kind in ("revolute", "prismatic"):
        raise UrdfSyntaxError(f"{path}: joint {name!r} has no <limit>")
    bounded = limit is not None and kind != "continuous"
    return Joint(
        name=name,
        kind=kind,
        parent=names[0],
        child=names[1],
        origin=origin(element.find("origin"), path),
        axis=axis,
        lower=_number(limit, "lower", 0.0, path) if bounded else -math.inf,
        upper=_number(limit, "upper", 0.0, path) if bounded else math.inf,
        velocity_max=_number(limit, "velocity", math.inf, path),
    )


def origin(element: ET.Element | None, path: Path) -> Vector:
    """Return the transform (4, 4) of an <origin>, the identity if there is none."""
    frame = np.eye(4)
    if element is not None:
        frame[:3, :3] = rotation.rpy_matrix(*_triple(element.get("rpy", "0 0 0"), path))
        frame[:3, 3] = _triple(element.get("xyz", "0 0 0"), path)
    return frame


def _axis(element: ET.Element | None, joint: str, path: Path) -> Vector:
    x, y, z = _triple("1 0 0" if element is None else element.get("xyz", "1 0 0"), path)
    axis, length = np.array((x, y, z)), math.sqrt(x * x + y * y + z * z)
    if length < 1e-9:
        raise UrdfSyntaxError(f"{path}: expected an axis with a direction in joint {joint!r}, got {axis.tolist()}")
    return axis / length


def _present(element: ET.Element | None, tag: str, joint: str, path: Path) -> ET.Element:
    if element is None:
        raise UrdfSyntaxError(f"{path}: expected <{tag}> in joint {joint!r}, found none")
    return element


def _attribute(element: ET.Element, name: str, path: Path) -> str:
    value = element.get(name)
    if not value:
        raise UrdfSyntaxError(f"{path}: expected the attribute {name!r} in <{element.tag}>, found none")
    return value


def _number(element: ET.Element | None, name: str, default: float, path: Path) -> float:
    text = None if element is None else element.get(name)
    return default if text is None else floats(text, 1, path)[0]


def _triple(text: str, path: Path) -> tuple[float, float, float]:
    x, y, z = floats(text, 3, path)
    return x, y, z


def floats(text: str, count: int, path: Path) -> list[float]:
    """Return the `count` finite numbers of an attribute; raise UrdfSyntaxError."""
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise UrdfSyntaxError(f"{path}: expected {count} finite numbers, got {text!r}")
    return values


def _refuse_repeats(names: list[str], what: str, path: Path) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UrdfSyntaxError(f"{path}: expected each {what} once, got {repeated} again")
