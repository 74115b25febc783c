"""Where a published robot's files are: the URDF in a package's folder, and what `package://` names."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from sim.model.urdf import UrdfError, UrdfMissingError, UrdfSyntaxError

_XACRO: Final = (".xacro",)
_LEVELS: Final = 4
"""How many folders above a URDF are looked at for its package, and for packages beside that one."""
_SKIPPED: Final = frozenset({".git", "build", "install", "log", "node_modules"})


class SourceError(UrdfError):
    """There is no one robot at the path that was given."""


@dataclass(frozen=True, slots=True)
class Source:
    """One robot's URDF, read, and the folders that its file names may mean."""

    urdf: Path
    """The file that was read: a URDF, or the xacro that it was made from."""
    root: ET.Element
    packages: Mapping[str, Path]

    def candidates(self, name: str) -> tuple[Path, ...]:
        """Return where the mesh called `name` in the URDF may lie, the likeliest first."""
        for scheme in ("package://", "model://"):
            if name.startswith(scheme):
                package, _, rest = unquote(name.removeprefix(scheme)).partition("/")
                known = [self.packages[package] / rest] if package in self.packages else []
                folders = list(self.urdf.parents)[:_LEVELS]
                return (*known, *(one / package / rest for one in folders), *(one / rest for one in folders))
        plain = Path(unquote(name.removeprefix("file://")))
        return (plain,) if plain.is_absolute() else (self.urdf.parent / plain, *(p / plain for p in self._roots()))

    def find(self, name: str) -> Path | None:
        """Return the file called `name` in the URDF; None if there is none."""
        return next((path.resolve() for path in self.candidates(name) if path.is_file()), None)

    def _roots(self) -> Iterator[Path]:
        yield from (folder for folder in self.packages.values() if folder in self.urdf.parents)


def read_source(path: Path) -> Source:
    """Return the robot at `path`: a URDF, a xacro, or a folder that holds one of them; raise a UrdfError."""
    urdf = _chosen(path.absolute())
    packages = _packages(urdf)
    text = _expanded(urdf, packages) if urdf.suffix in _XACRO else urdf.read_bytes()
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise UrdfSyntaxError(f"{urdf} is not XML: {error}") from error
    if root.tag != "robot":
        raise UrdfSyntaxError(f"{urdf} is no URDF: it begins with <{root.tag}>, and a URDF with <robot>")
    return Source(urdf, root, packages)


def _chosen(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise UrdfMissingError(f"There is nothing at {path}. Give a URDF, a xacro, or a folder with one in it.")
    for suffix in (".urdf", ".urdf.xacro", ".xacro"):
        found = sorted(one for one in _files(path) if one.name.endswith(suffix) and _is_robot(one))
        if len(found) > 1:
            names = ", ".join(str(one.relative_to(path)) for one in found)
            raise SourceError(f"{path} has several robots: {names}. Give the path of the one to add.")
        if found:
            return found[0]
    raise UrdfMissingError(f"{path} has no robot: no .urdf or .xacro in it has a <robot> with a name.")


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and path.name not in _SKIPPED and not path.name.startswith("."):
            yield from _files(path)
        elif path.is_file():
            yield path


def _is_robot(path: Path) -> bool:
    """Whether a file says a robot's name: those that xacros include do not."""
    with suppress(ET.ParseError, OSError):
        root = ET.parse(path).getroot()
        return root.tag == "robot" and bool(root.get("name"))
    return False


def _packages(urdf: Path) -> dict[str, Path]:
    """Return the ROS packages around a file, by name: those it lies in, and those beside them."""
    found: dict[str, Path] = {}
    for folder in list(urdf.parents)[:_LEVELS]:
        for own in (folder, *_folders(folder)):
            name = _package_name(own)
            if name is not None:
                found.setdefault(name, own)
    return found


def _folders(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from sorted(path for path in folder.iterdir() if path.is_dir())


def _package_name(folder: Path) -> str | None:
    manifest = folder / "package.xml"
    with suppress(ET.ParseError, OSError):
        name = ET.parse(manifest).getroot().findtext("name") if manifest.is_file() else None
        return name.strip() if name else None
    return None


def _expanded(xacro: Path, packages: Mapping[str, Path]) -> bytes:
    """Return the URDF that a xacro stands for; it is evaluated in a process of its own."""
    known = json.dumps({name: str(folder) for name, folder in packages.items()})
    command = [sys.executable, "-m", "sim.bring.macros", str(xacro), known]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UrdfSyntaxError(f"{xacro} cannot be expanded: {(said or ['no reason'])[-1]}")
    return done.stdout
