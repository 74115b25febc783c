"""The formats that episodes can be written in, by name: what `armshare export` and a hub's exports choose from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import Any, Final

from recorder.export.demonstrations import Demonstrations
from recorder.export.drawn import draw
from recorder.export.errors import ExportError
from recorder.file.episode import Episode
from recorder.pictures.channel import Pictures
from recorder.pictures.encoded import Plane
from sim.pictures.sight import eye_of
from sim.words import listed


class FormatError(ExportError):
    """There is no such format, or nobody said which one."""


class MissingPackageError(ExportError):
    """A format needs a package that is not installed."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format: a module of `recorder.export` whose `export(demonstrations, target, **options)` writes it."""

    name: str
    module: str
    says: str
    """What was written, from the fields of what `export` returns."""
    suffixes: tuple[str, ...] = ()
    """Targets that are taken to be of this format if none is named."""
    options: tuple[str, ...] = ()
    """The names of its own options."""

    def write(self, found: Demonstrations, target: Path, options: Mapping[str, Any]) -> str:
        """Write demonstrations; return what was written, in words. Raises an ExportError."""
        done = self._exporter()(found, target, **{name: options[name] for name in self.options})
        fields = done if isinstance(done, dict) else {name: getattr(done, name) for name in type(done).__slots__}
        return re.sub(r"\b1 (\w+)s\b", r"1 \1", self.says.format(**fields))

    def require_imports(self, imported: int) -> None:
        """Raise FormatError if some of the episodes were imported, and this format cannot say so."""
        if imported and self.name not in _OF_IMPORTS:
            raise FormatError(
                f"{imported} of the episodes are imported, which lack what {self.name} shows: what was commanded and "
                f"applied. Use --format {listed(_OF_IMPORTS, 'or')}, or leave them out."
            )

    def _exporter(self) -> Callable[..., Any]:
        try:
            made: Callable[..., Any] = import_module(self.module).export
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if missing.partition(".")[0] in ("recorder", "teleop", "sim"):
                raise
            raise MissingPackageError(
                f"The format {self.name} needs {missing}, which is not installed: pip install 'armshare[export]'"
            ) from error
        return made


_OF_IMPORTS: Final = ("robomimic", "lerobot")
_FORMATS: Final = (
    Format(
        "robomimic",
        "recorder.export.robomimic",
        "{demos} demonstrations, {samples} samples",
        (".hdf5", ".h5"),
        ("splits",),
    ),
    Format(
        "lerobot", "recorder.export.lerobot", "{episodes} episodes, {frames} frames", options=("language", "splits")
    ),
    Format(
        "act",
        "recorder.export.act",
        "{episodes} episodes, {steps} steps ({padded} added at the ends, {cut} cut off)",
        options=("length",),
    ),
    Format("mcap", "recorder.export.mcap", "{files} files, {messages} messages", (".mcap",)),
    Format("lance", "recorder.export.lance", "{episodes} episodes, {frames} frames", options=("language", "splits")),
)
FORMATS: Final = {one.name: one for one in _FORMATS}


def format_of(name: str, target: Path) -> Format:
    """Return the format of that name, or, without one, the one that the target's name tells; raise FormatError."""
    if name:
        if name not in FORMATS:
            raise FormatError(f"There is no format {name!r}. There are {listed(FORMATS)}.")
        return FORMATS[name]
    for one in FORMATS.values():
        if target.suffix in one.suffixes:
            return one
    raise FormatError(f"Which format should {target} have? Give --format: {listed(FORMATS, 'or')}.")


def drawn(episode: Episode, camera: str, width: int, height: int) -> Pictures:
    """Return what a camera of a simulated episode saw; `<camera>_depth` is its depth."""
    eye = eye_of(camera)
    plane = Plane.DEPTH if eye.depth else Plane.COLOUR
    return replace(draw(episode, eye.camera, width, height, plane=plane), name=camera)


def judging(found: Demonstrations) -> str:
    """Return the command that judges a policy which was trained on this: in its environment, with its cameras."""
    env, (width, height) = found.space.env, found.size
    words = ["armshare evaluate --policy MODULE:NAME", f"--env {quote(env.id)}", f"--control {found.space.name}"]
    words += [f"--camera {quote(camera)}" for camera in found.cameras]
    return " ".join([*words, f"--size {width}x{height}"] if found.cameras else words)
