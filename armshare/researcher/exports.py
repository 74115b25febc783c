"""`armshare export`: the formats that episodes can be written in, and what an export asks of the rest of the house."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import Any, Final

import httpx

from armshare.extras import command_for
from armshare.failures import PlatformError
from recorder.export.demonstrations import Demonstrations
from recorder.export.drawn import draw
from recorder.file.episode import Episode
from recorder.pictures.channel import Pictures
from recorder.pictures.encoded import Plane
from recorder.proof.manifest import Manifest
from rewards.score.kept import as_json, compare_score
from rewards.score.score import facts_of, score
from sim.pictures.sight import eye_of
from sim.words import listed


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

    def _exporter(self) -> Callable[..., Any]:
        try:
            made: Callable[..., Any] = import_module(self.module).export
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if missing.partition(".")[0] in ("recorder", "teleop", "sim"):
                raise
            raise PlatformError(
                f"The format {self.name} needs {missing}, which is not installed: {command_for([missing])}"
            ) from error
        return made


_FORMATS: Final = (
    Format("robomimic", "recorder.export.robomimic", "{demos} demonstrations, {samples} samples", (".hdf5", ".h5")),
    Format("lerobot", "recorder.export.lerobot", "{episodes} episodes, {frames} frames", options=("language",)),
    Format(
        "act",
        "recorder.export.act",
        "{episodes} episodes, {steps} steps ({padded} added at the ends, {cut} cut off)",
        options=("length",),
    ),
    Format("mcap", "recorder.export.mcap", "{files} files, {messages} messages", (".mcap",)),
    Format("lance", "recorder.export.lance", "{episodes} episodes, {frames} frames", options=("language",)),
)
FORMATS: Final = {one.name: one for one in _FORMATS}


def format_of(name: str, target: Path) -> Format:
    """Return the format of that name, or, without one, the one that the target's name tells; raise PlatformError."""
    if name:
        if name not in FORMATS:
            raise PlatformError(f"There is no format {name!r}. There are {listed(FORMATS)}.")
        return FORMATS[name]
    for one in FORMATS.values():
        if target.suffix in one.suffixes:
            return one
    raise PlatformError(f"Which format should {target} have? Give --format: {listed(FORMATS, 'or')}.")


def score_facts(bundle: Path, episode: Episode) -> dict[str, Any]:
    """Return an episode's score and its parts, as columns; raise PlatformError if `score.json` says otherwise.

    The score always follows from the file: what lies beside it is signed by nobody. What it says by other rules than
    those here is not repeated.
    """
    scored = score(facts_of(episode))
    beside = compare_score(bundle, scored)
    if beside.standing.wrong:
        raise PlatformError(beside.message)
    computed = as_json(scored)
    parts = {f"score_{name}": float(value) for name, value in computed["vector"].items()}
    return {"score": float(computed["score"]), "score_version": str(computed["version"]), **parts}


def gone_at(client: httpx.Client) -> Callable[[Manifest], str]:
    """Return a check that asks a hub whether it still gives an episode out."""

    def gone(manifest: Manifest) -> str:
        answer = client.get(f"/api/episodes/{manifest.episode}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return "the hub has no such episode"
        state = str(answer.raise_for_status().json()["state"])
        return "" if state == "verified" else f"the hub no longer gives it out: it is {state}"

    return gone


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


def cameras_of(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return which cameras are meant; None for all that were recorded."""
    return tuple(given) if given else None
