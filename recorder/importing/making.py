"""Makes an episode's file of what a source has; what that does not say is unknown, and `/meta` names the rest.

    <target>/<set>-<digest>-<index>/episode.h5

An episode appears whole, by a rename, and is never written twice: a second run leaves alone what is there.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.file.apart import reader
from recorder.file.episode import EpisodeError, places
from recorder.file.journal import write_clean
from recorder.file.layout import (
    ARRAY_NAME,
    FORMAT,
    IMPORTED_ACTION,
    NO_COMMAND,
    STAGE_SLACK,
    UNKNOWN_STAGE,
    UNKNOWN_SUCCESS,
    VERSION,
    Counts,
)
from recorder.file.meta import (
    ArrayMeta,
    EndMeta,
    GrantMeta,
    GrantValues,
    ImportedAction,
    ImportMeta,
    Meta,
    MetaError,
    OperatorMeta,
    RobotMeta,
    SpecMeta,
    TaskMeta,
    decode_meta,
)
from recorder.importing.errors import BrokenEpisodeError, ClaimError, ImportTargetError, TooMuchError
from recorder.importing.taken import Source, Taken, printable, require_sound
from recorder.proof.manifest import EPISODE_FILE
from teleop.files import move, sync_folder
from teleop.wire.driver import PERSON
from teleop.wire.messages import Safety
from teleop.wire.reasons import EndReason

Arrays = dict[str, NDArray[Any]]
_NOBODY: Final = "0x" + 40 * "0"
_NOTHING: Final = "0x" + 64 * "0"
_MAKING: Final = ".import"
_SET_NAME_MAX: Final = 40
_NAME_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one episode of a source."""

    index: int
    name: str
    folder: Path
    made: bool = False
    """Whether this run made it; else it was there, or is broken."""
    error: BrokenEpisodeError | None = None


def import_set(
    source: Source,
    target: Path,
    *,
    sha256: str,
    software: str,
    rules: Collection[str] = (),
) -> Iterator[Outcome]:
    """Make an episode of each of a source's that is not there yet, and say what became of each.

    Raises ImportTargetError if something else is in an episode's place. `rules` are the versions that are known here.
    """
    making = target / _MAKING
    for index, name in enumerate(source.names):
        folder = target / _episode_id(source, sha256, index)
        if os.path.lexists(folder):
            _require_it(folder, sha256, index)
            yield Outcome(index, name, folder)
            continue
        try:
            one = source.take(index)
            require_sound(one)
            said = _import_meta(source, one, index, sha256, software)
            meta, arrays = _episode(folder.name, one, said, rules)
        except BrokenEpisodeError as error:
            yield Outcome(index, name, folder, error=error)
            continue
        _write(making, folder, meta, arrays)
        yield Outcome(index, name, folder, made=True)


def _write(making: Path, folder: Path, meta: Meta, arrays: Arrays) -> None:
    """Write an episode's folder, whole or not at all."""
    beside = making / f"{folder.name}.{os.getpid()}"
    try:
        beside.mkdir(parents=True)
        write_clean(beside / EPISODE_FILE, meta, arrays)
        sync_folder(beside)
        move(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if making.is_dir() and not any(making.iterdir()):
            making.rmdir()


def _episode_id(source: Source, sha256: str, index: int) -> str:
    name = re.sub(r"[^A-Za-z0-9_]+", "-", source.path.resolve().stem).strip("-_")[:_SET_NAME_MAX] or "set"
    return f"{name}-{sha256[:8]}-{index:06d}"


def _require_it(folder: Path, sha256: str, index: int) -> None:
    """Raise ImportTargetError unless a folder holds that episode of that source."""
    try:
        origin = reader().read(folder / EPISODE_FILE, imported=True).meta.origin
    except EpisodeError as error:
        raise ImportTargetError(f"{folder} is in the way: {error}. Remove it, or name another folder.") from error
    if origin is None or (origin.sha256, origin.index) != (sha256, index):
        raise ImportTargetError(f"{folder} holds another episode. Name another folder; nothing is overwritten.")


def _import_meta(source: Source, one: Taken, index: int, sha256: str, software: str) -> ImportMeta:
    names = {path: what for path, what in one.values.items() if path in one.known}
    names |= {f"observation/{_slug(name)}": printable(name, _NAME_MAX) for name in one.observations}
    timed = "" if one.times.kind == "rate" else f"the source's {one.times.kind}"
    return ImportMeta(
        source=printable(str(source.path.resolve()), 4096),
        sha256=sha256,
        format=source.format,
        format_version=printable(source.version, 64),
        index=index,
        name=printable(one.name, _NAME_MAX),
        software=software,
        imported_ms=str(time.time_ns() // 1_000_000),
        times=one.times.kind,
        final=one.final,
        action=ImportedAction(one.action.name, [printable(name, _NAME_MAX) for name in one.action.names]),
        values=names | {IMPORTED_ACTION: "action"} | ({"time/t_observed_mono_ns": timed} if timed else {}),
        left_out=[printable(name, _NAME_MAX) for name in one.left_out[:256]],
        says=dict(one.says),
    )


def _episode(name: str, one: Taken, said: ImportMeta, rules: Collection[str]) -> tuple[Meta, Arrays]:
    """Return `/meta` and every dataset; raise ClaimError or TooMuchError."""
    try:
        meta = _meta(name, one, said, rules)
        meta = decode_meta(meta.encode())
        expected = places(meta, Counts(one.frames, 0))
    except EpisodeError as error:
        raise TooMuchError(f"{one.name}: {error}") from error
    except (ValueError, MetaError) as error:
        raise ClaimError(f"{one.name} cannot be an episode: {error}") from error
    arrays: Arrays = {}
    found = _found(one)
    _require_same_arrays({path for path in found if path.startswith("observation/")}, meta, one.name)
    for place in expected:
        given = found.get(place.path)
        if given is not None and given.shape != place.shape:
            raise ClaimError(f"{one.name}: {place.path} is {given.shape}, and its robot asks for {place.shape}")
        arrays[place.path] = _unknown(place.path, place.dtype, place.shape)
        if given is not None:
            arrays[place.path] = np.ascontiguousarray(given, place.dtype)
    return meta, arrays


def _require_same_arrays(found: set[str], meta: Meta, name: str) -> None:
    """Raise ClaimError unless the source has the arrays of the robot that it says it has, and no others."""
    said = {f"observation/{array.name}" for array in meta.spec.observation}
    if odd := sorted(found ^ said):
        raise ClaimError(f"{name}: its robot has other arrays than it: {', '.join(odd[:5])}")


def _found(one: Taken) -> Arrays:
    """Return what the source has, by dataset; NaN for an observation after the last action that it does not have."""
    found: Arrays = dict(one.known)
    for name, array in one.observations.items():
        rows = array if one.final else np.concatenate([array, np.full((1, *array.shape[1:]), np.nan)])
        found[f"observation/{_slug(name)}"] = rows
    t_ns = np.append(one.times.t_ns, one.times.t_ns[-1] + max(round(1e9 / one.hz), 1))
    found["time/t_observed_mono_ns"] = t_ns
    found.setdefault("time/t_sent_mono_ns", t_ns[:-1])
    found["time/t_began_mono_ns"] = t_ns[:-1]
    found[IMPORTED_ACTION] = one.action.values
    if one.origin is not None and "progress" in found and (stages := len(one.origin.task.stages)):
        known = np.isfinite(found["progress"])
        done = np.floor(np.where(known, found["progress"], 0.0) * stages + STAGE_SLACK)
        found["stage"] = np.where(known, done, UNKNOWN_STAGE)
    return found


_UNKNOWN: Final = {
    "success": UNKNOWN_SUCCESS,
    "stage": UNKNOWN_STAGE,
    "commanded/mode": NO_COMMAND,
    "safety": int(Safety.DRIVING),
}


def _unknown(path: str, dtype: np.dtype, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return what a dataset holds of which the source says nothing."""
    value = _UNKNOWN.get(path, np.nan if dtype.kind == "f" else 0)
    return np.zeros(shape, dtype) if dtype.fields else np.full(shape, value, dtype)


def _meta(name: str, one: Taken, said: ImportMeta, rules: Collection[str]) -> Meta:
    origin = one.origin
    spec = _spec(one) if origin is None else origin.spec
    task = TaskMeta(_task_name(one), 0, printable(one.instruction, 1000), 0, 0, [], [])
    reason = one.says.get("end_reason")
    version = one.says.get("score_version")
    return Meta(
        format=FORMAT,
        version=VERSION,
        episode=name,
        robot=RobotMeta(
            _NOBODY,
            "imported",
            origin.model if origin else printable(str(one.says.get("robot_type", "")), _NAME_MAX) or "unknown",
            origin is not None and origin.simulated,
            {},
        ),
        spec=spec,
        operator=OperatorMeta(_NOBODY, _NOBODY),
        grant=GrantMeta(GrantValues(_NOBODY, _NOBODY, _NOBODY, "", _NOTHING, "0"), ""),
        task=origin.task if origin else task,
        seed=0,
        nonce=_NOTHING,
        engine={},
        t_mono_ns=str(max(int(one.times.t_ns[0]), 0)),
        t_wall_ns="0",
        end=EndMeta(
            steps=one.frames,
            success=one.success,
            reason=EndReason(reason) if reason in list(EndReason) else EndReason.LEFT,
            t_mono_ns=str(max(int(one.times.t_ns[-1]), 0)),
            t_wall_ns="0",
            notes=[],
        ),
        driver=PERSON,
        cameras={},
        rules=version if isinstance(version, str) and version in rules else msgspec.UNSET,
        imported=said,
    )


def _task_name(one: Taken) -> str:
    return re.sub(r"[^a-z0-9]+", "_", (one.instruction or "unknown").lower()).strip("_")[:64] or "unknown"


def _spec(one: Taken) -> SpecMeta:
    """Return what is known of a robot that only the source knows: its arrays and its rate."""
    arrays = []
    for name, array in one.observations.items():
        doc = f"{printable(name, _NAME_MAX)} of the source"
        arrays.append(ArrayMeta(_slug(name), list(array.shape[1:]), "as the source says", doc))
    return SpecMeta([], [], [], [], [], [], [], [], None, arrays, one.hz, [])


def _slug(name: str) -> str:
    """Return a source's name of an array as one of ours: the same, if it may be."""
    short = name.removeprefix("observation.")
    if ARRAY_NAME.fullmatch(short):
        return short
    made = re.sub(r"[^a-z0-9_]+", "_", short.lower()).strip("_")
    return (made if made[:1].isalpha() else f"a_{made}")[:64]
