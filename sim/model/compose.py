"""One robot's URDF from several: an arm on its base, a gripper on its arm, two arms side by side.

Exports `compose`. The result is kept in the user's cache, in a folder named after its content, so that the same parts
give the same bytes everywhere, and an episode's manifest can name them.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from sim.model.urdf import UnknownLinkError, find_mesh, read_urdf
from sim.robot import RobotError, RobotModel
from sim.scene import Triple

BASE: Final = "base"
"""The link that carries everything else."""
PARTS: Final = Path(__file__).parents[1] / "robots" / "parts"
"""URDFs of our own to compose with: `gripper.urdf`, `rolling.urdf`."""
_KEPT: Final = ("material", "link", "joint")
_NAMES: Final = {
    "link": "name",
    "joint": "name",
    "parent": "link",
    "child": "link",
    "mimic": "joint",
    "material": "name",
}


class ComposeError(RobotError):
    """Parts do not fit together, or the result cannot be written."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One URDF as a piece of another."""

    urdf: Path
    onto: str = BASE
    """The link of an earlier piece that carries it."""
    prefix: str = ""
    """Put before the names of its links, joints and materials."""
    xyz: Triple = (0.0, 0.0, 0.0)
    rpy: Triple = (0.0, 0.0, 0.0)
    """Where its base is in the frame of `onto`, m and rad."""
    without: tuple[str, ...] = ()
    """Its links that are left out, with the joints that carry them."""
    welded: tuple[str, ...] = ()
    """Its joints that must not move."""
    hollow: tuple[str, ...] = ()
    """Its links that are seen and touch nothing."""


def compose(name: str, pieces: Sequence[Piece]) -> RobotModel:
    """Return the robot `name` made of `pieces`, each mounted on those before it; raise ComposeError or a UrdfError."""
    robot = ET.Element("robot", name=name)
    ET.SubElement(robot, "link", name=BASE).append(weightless())
    meshes: dict[str, Path] = {}
    for piece in pieces:
        _add(robot, piece, meshes)
    _refuse_repeats(robot, name)
    ET.indent(robot)
    text = b'<?xml version="1.0"?>\n' + ET.tostring(robot) + b"\n"
    return RobotModel(name, _stored(name, text, meshes), f"{name}.urdf")


def _add(robot: ET.Element, piece: Piece, meshes: dict[str, Path]) -> None:
    read = read_urdf(piece.urdf, ignore_links=piece.without)
    known = [link.get("name", "") for link in robot.findall("link")]
    if piece.onto not in known:
        raise UnknownLinkError(f"{piece.urdf}: expected to be mounted on one of the links {known}, got {piece.onto!r}")
    wanted = {*piece.without, *piece.hollow} - {*read.links, *piece.without}, {*piece.welded} - {*read.joints}
    if any(wanted):
        raise ComposeError(
            f"{piece.urdf}: expected links and joints that are there, got {sorted(set().union(*wanted))}"
        )
    for element in ET.parse(piece.urdf).getroot():
        if element.tag in _KEPT and not _left_out(element, piece):
            robot.append(_taken(element, piece, meshes))
    mount = ET.SubElement(robot, "joint", name=f"{piece.prefix}mount_{read.name}", type="fixed")
    ET.SubElement(mount, "parent", link=piece.onto)
    ET.SubElement(mount, "child", link=piece.prefix + read.base_link)
    ET.SubElement(mount, "origin", xyz=_said(piece.xyz), rpy=_said(piece.rpy))


def _left_out(element: ET.Element, piece: Piece) -> bool:
    if element.tag == "joint":
        child = element.find("child")
        return child is not None and child.get("link") in piece.without
    return element.tag == "link" and element.get("name") in piece.without


def _taken(element: ET.Element, piece: Piece, meshes: dict[str, Path]) -> ET.Element:
    """Return a copy with its names prefixed and its mesh paths as they will be stored."""
    own = deepcopy(element)
    if own.tag == "link" and own.get("name") in piece.hollow:
        for shape in own.findall("collision"):
            own.remove(shape)
    if own.tag == "link" and own.find("inertial") is None:
        own.append(weightless())
    if own.tag == "joint" and own.get("name") in piece.welded:
        own.set("type", "fixed")
    for part in own.iter():
        part.tail = part.text = None
        key = _NAMES.get(part.tag)
        if key is not None and part.get(key):
            part.set(key, piece.prefix + part.get(key, ""))
        if part.tag == "mesh":
            part.set("filename", _placed(part.get("filename", ""), piece, meshes))
    return own


def weightless() -> ET.Element:
    """Return a negligible mass: PyBullet gives a kilogram to a link with no inertial element."""
    inertial = ET.Element("inertial")
    ET.SubElement(inertial, "mass", value="0.001")
    ET.SubElement(inertial, "inertia", ixx="1e-7", ixy="0", ixz="0", iyy="1e-7", iyz="0", izz="1e-7")
    return inertial


def _placed(filename: str, piece: Piece, meshes: dict[str, Path]) -> str:
    source = find_mesh(filename, RobotModel(piece.urdf.stem, piece.urdf.parent, piece.urdf.name))
    place = f"meshes/{piece.urdf.parent.name}/{source.relative_to(piece.urdf.parent).as_posix()}"
    meshes[place] = source
    for beside in _named_beside(source):
        meshes[f"{Path(place).parent.as_posix()}/{beside.name}"] = beside
    return place


def _named_beside(mesh: Path) -> Iterator[Path]:
    """Yield the material files beside a Wavefront mesh, and the pictures that they name."""
    if mesh.suffix.lower() != ".obj":
        return
    for library in re.findall(r"^mtllib\s+(\S+)", mesh.read_text("utf-8", "replace"), re.MULTILINE):
        path = mesh.parent / library
        if path.is_file():
            yield path
            pictures = re.findall(r"^map_Kd\s+(\S+)", path.read_text("utf-8", "replace"), re.MULTILINE)
            yield from (mesh.parent / name for name in pictures if (mesh.parent / name).is_file())


def _refuse_repeats(robot: ET.Element, name: str) -> None:
    for tag in ("link", "joint"):
        names = [element.get("name", "") for element in robot.findall(tag)]
        repeated = sorted({one for one in names if names.count(one) > 1})
        if repeated:
            raise ComposeError(f"{name}: expected each {tag} once, got {repeated} again; give the pieces prefixes")


def _stored(name: str, urdf: bytes, meshes: dict[str, Path]) -> Path:
    """Return the folder that holds the robot, written whole or not at all; several processes may do so at once."""
    digest = hashlib.sha256(urdf)
    for place in sorted(meshes):
        digest.update(place.encode() + hashlib.sha256(meshes[place].read_bytes()).digest())
    folder = user_cache_path("armshare") / "robots" / f"{name}-{digest.hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    except OSError as error:
        raise ComposeError(f"expected to write {name} into {folder.parent}: {error}; set XDG_CACHE_HOME") from error
    try:
        fresh.chmod(0o755)
        (fresh / f"{name}.urdf").write_bytes(urdf)
        for place, source in meshes.items():
            (fresh / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, fresh / place)
        fresh.rename(folder)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        if not folder.is_dir():  # no other process was faster
            raise
    return folder


def _said(triple: Triple) -> str:
    return " ".join(repr(value) for value in triple)
