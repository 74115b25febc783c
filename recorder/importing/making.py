"""Makes an episode's file of what a source has; what that does not say is unknown, and `/meta` names the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.file.episode import EpisodeError, places
from recorder.file.films import Pieces
from recorder.file.journal import write_clean
from recorder.file.layout import (
    ARRAY_NAME,
    CAMERAS_GROUP,
    FORMAT,
    IMPORTED_ACTION,
    NO_COMMAND,
    STAGE_SLACK,
    UNKNOWN_STAGE,
    UNKNOWN_SUCCESS,
    VERSION,
    Counts,
    camera_path,
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
from recorder.importing.errors import ClaimError, TooMuchError
from recorder.importing.footage import Spool
from recorder.importing.taken import Source, Taken, printable
from teleop.wire.driver import PERSON
from teleop.wire.messages import Safety
from teleop.wire.reasons import EndReason

Arrays = dict[str, NDArray[Any] | Pieces]
_NOBODY: Final = "0x" + 40 * "0"
_NOTHING: Final = "0x" + 64 * "0"
_SET_NAME_MAX: Final = 40
_NAME_MAX: Final = 200


class Order(msgspec.Struct, frozen=True):
    """What is to be made of one episode of a source."""

    index: int
    episode: str
    """Its id."""
    file: str
    """Where its file goes."""
    source: str
    """Where the set is, as its episodes say it."""
    sha256: str
    software: str
    imported_ms: str
    rules: list[str]
    """The versions of the rules that are known here."""
    pictures: bool = True
    """Whether its pictures come in too."""


def episode_id(path: Path, sha256: str, index: int) -> str:
    """Return what an episode of a set is called."""
    name = re.sub(r"[^A-Za-z0-9_]+", "-", path.resolve().stem).strip("-_")[:_SET_NAME_MAX] or "set"
    return f"{name}-{sha256[:8]}-{index:06d}"


def make(source: Source, order: Order, allow: Callable[[float], None] = lambda seconds: None) -> None:
    """Write the file of an episode; raise a BrokenEpisodeError, or OSError if the disk takes no more.

    `allow` is told before something takes longer, in seconds of a processor.
    """
    file = Path(order.file)
    with closing(Spool(file.parent, allow, wanted=order.pictures)) as spool:
        one = source.take(order.index, spool)
        meta, arrays = _episode(one, _import_meta(source, one, order), order)
        write_clean(file, meta, arrays)


def _import_meta(source: Source, one: Taken, order: Order) -> ImportMeta:
    names = {path: what for path, what in one.values.items() if path in one.known}
    names |= {f"observation/{_slug(name)}": printable(name, _NAME_MAX) for name in one.observations}
    for name, camera in one.cameras.items():
        names[camera_path(name, "bytes")] = printable(camera.source, _NAME_MAX)
        names |= {camera_path(name, "t_captured_mono_ns"): camera.timed} if camera.timed else {}
    timed = "" if one.times.kind == "rate" else f"the source's {one.times.kind}"
    return ImportMeta(
        source=printable(order.source, 4096),
        sha256=order.sha256,
        format=source.format,
        format_version=printable(source.version, 64),
        index=order.index,
        name=printable(one.name, _NAME_MAX),
        software=order.software,
        imported_ms=order.imported_ms,
        times=one.times.kind,
        final=one.final,
        action=ImportedAction(one.action.name, [printable(name, _NAME_MAX) for name in one.action.names]),
        values=names | {IMPORTED_ACTION: "action"} | ({"time/t_observed_mono_ns": timed} if timed else {}),
        left_out=[printable(name, _NAME_MAX) for name in one.left_out[:256]],
        says=dict(one.says),
    )


def _episode(one: Taken, said: ImportMeta, order: Order) -> tuple[Meta, Arrays]:
    """Return `/meta` and every dataset; raise ClaimError or TooMuchError."""
    counts = Counts(one.frames, 0, cameras={name: camera.counts for name, camera in one.cameras.items()})
    try:
        meta = _meta(order, one, said)
        meta = decode_meta(meta.encode())
        expected = [place for place in places(meta, counts) if not place.path.startswith(f"{CAMERAS_GROUP}/")]
    except EpisodeError as error:
        raise TooMuchError(f"{one.name}: {error}") from error
    except (ValueError, MetaError) as error:
        raise ClaimError(f"{one.name} cannot be an episode: {error}") from error
    arrays: Arrays = {}
    for name, camera in one.cameras.items():
        arrays |= camera.arrays(name)
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


def _found(one: Taken) -> dict[str, NDArray[Any]]:
    """Return what the source has, by dataset; NaN for an observation after the last action that it does not have."""
    found: dict[str, NDArray[Any]] = dict(one.known)
    for name, array in one.observations.items():
        rows = array if one.final else np.concatenate([array, np.full((1, *array.shape[1:]), np.nan)])
        found[f"observation/{_slug(name)}"] = rows
    t_ns = one.times.at(one.hz)
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


def _meta(order: Order, one: Taken, said: ImportMeta) -> Meta:
    origin = one.origin
    spec = _spec(one) if origin is None else origin.spec
    task = TaskMeta(_task_name(one), 0, printable(one.instruction, 1000), 0, 0, [], [])
    reason = one.says.get("end_reason")
    version = one.says.get("score_version")
    return Meta(
        format=FORMAT,
        version=VERSION,
        episode=order.episode,
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
        cameras={name: camera.meta for name, camera in one.cameras.items()},
        rules=version if isinstance(version, str) and version in order.rules else msgspec.UNSET,
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
