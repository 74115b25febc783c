"""What happened when in an episode: who drove, what limits it met, what cameras missed and what was said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray

from recorder.file.episode import Inspected
from recorder.file.layout import RULES, camera_path
from recorder.hub.showing.clock import Clock
from recorder.hub.showing.opened import shown
from recorder.pictures.channel import PictureCodec
from sim.robot import RobotError
from teleop.cameras.film import Trouble
from teleop.wire.driver import DriverKind
from teleop.wire.messages import Safety
from teleop.wire.reasons import EndReason

STRETCHES_MAX: Final = 200
"""Of each kind; the longest are told, and how many there were."""
_TOGETHER_S: Final = 0.25
"""Stretches of the same kind that are closer to each other are one to whoever looks."""
_AT_ONCE: Final = 1 << 18
"""How many limit events are read at once."""


@dataclass(frozen=True, slots=True)
class Driven:
    """Who decided the commands for a while: in a policy's episode, a person may have taken over."""

    who: DriverKind
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Guarded:
    """A while in which the safety machine was not driving."""

    state: str
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Limited:
    """A while in which a limit changed what was asked for."""

    rule: str
    times: int
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class NoteView:
    """Something that was said while driving."""

    at_s: float
    text: str


class CameraTrouble(StrEnum):
    """What was wrong with a camera for a while."""

    MISSING = "missing"
    FROZEN = "frozen"
    BLACK = "black"
    DROPPED = "dropped"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class TroubleView:
    """A while in which a camera had trouble, and how many pictures it was, or should have been."""

    trouble: CameraTrouble
    pictures: int
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class CameraView:
    """A camera that recorded."""

    name: str
    codec: PictureCodec
    width: int
    height: int
    fps: float
    timed: str
    pictures: int
    bytes: int
    troubles: list[TroubleView]


@dataclass(frozen=True, slots=True)
class TaskView:
    """What the operator was asked to do."""

    name: str
    version: int
    instruction: str
    stages: list[str]


@dataclass(frozen=True, slots=True)
class RobotView:
    """Which robot it was."""

    address: str
    name: str
    model: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class TimelineAnswer:
    """An episode on one line of time, s from its first observation, and what it is of."""

    episode: str
    format: int
    task: TaskView
    robot: RobotView
    engine: dict[str, str]
    seed: int
    control_hz: float
    steps: int
    length_s: float
    reason: EndReason
    success: bool | None
    driven: list[Driven]
    guarded: list[Guarded]
    limited: list[Limited]
    notes: list[NoteView]
    cameras: list[CameraView]
    drawn: list[str]
    """Of a simulated robot: the cameras that it can be drawn from (`/preview`), if this hub knows the robot."""


def timeline_of(file: Path) -> TimelineAnswer:
    """Read what happened when; raise an EpisodeError if the file is not one."""
    with shown(file) as found:
        clock, meta = Clock(found), found.meta
        told_at = clock.at([int(note.t_mono_ns) for note in meta.notes])
        return TimelineAnswer(
            episode=meta.episode,
            format=meta.version,
            task=TaskView(meta.task.name, meta.task.version, meta.task.instruction, list(meta.task.stages)),
            robot=RobotView(meta.robot.address, meta.robot.name, meta.robot.model, meta.robot.simulated),
            engine=dict(meta.engine),
            seed=meta.seed,
            control_hz=meta.spec.control_hz,
            steps=found.end.steps,
            length_s=_s(clock.length_s),
            reason=found.end.reason,
            success=found.end.success,
            driven=list(_driven(found, clock)),
            guarded=list(_guarded(found, clock)),
            limited=list(_limited(found, clock)),
            notes=[NoteView(_s(float(t)), note.text) for t, note in zip(told_at, meta.notes, strict=True)],
            cameras=[_camera(found, name, clock) for name in meta.recorded],
            drawn=_drawn(meta.robot.model) if meta.robot.simulated else [],
        )


def _drawn(model: str) -> list[str]:
    from sim.catalogue import description  # here: only a worker needs them
    from sim.tasks.parts.setting import cameras

    try:
        return [camera.name for camera in cameras(description(model))]
    except RobotError:  # such as a robot that this hub does not have
        return []


def _s(t: float) -> float:
    return round(t, 4)


Stretch = tuple[int, float, float]
"""A value, and from when until when it was so."""


def stretches(values: NDArray[np.integer], t_s: NDArray[np.float64]) -> list[Stretch]:
    """Return the runs of equal values at the steps (N,), whose ends are the observations `t_s` (N+1,)."""
    if not len(values):
        return []
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    stops = np.r_[starts[1:], len(values)]
    return [(int(values[a]), float(t_s[a]), float(t_s[b])) for a, b in zip(starts, stops, strict=True)]


def longest(found: list[Stretch]) -> list[Stretch]:
    """Return the longest, in order of time."""
    most = sorted(found, key=lambda one: one[1] - one[2])[:STRETCHES_MAX]
    return sorted(most, key=lambda one: one[1])


def _driven(found: Inspected, clock: Clock) -> Iterator[Driven]:
    own = found.meta.driven_by.kind
    if own is DriverKind.PERSON or "commanded/intervention" not in found.datasets:
        yield Driven(own, 0.0, _s(clock.length_s))
        return
    taken = found.datasets["commanded/intervention"][:]
    for value, from_s, until_s in longest(stretches(taken, clock.seconds)):
        yield Driven(DriverKind.PERSON if value else own, _s(from_s), _s(until_s))


def _guarded(found: Inspected, clock: Clock) -> Iterator[Guarded]:
    runs = [one for one in stretches(found.datasets["safety"][:], clock.seconds) if one[0] != Safety.DRIVING]
    for value, from_s, until_s in longest(runs):
        yield Guarded(Safety(value).name.lower(), _s(from_s), _s(until_s))


def _limited(found: Inspected, clock: Clock) -> Iterator[Limited]:
    """Yield the longest stretches of each rule: steps that are close to each other are one."""
    steps = _limited_steps(found.datasets["limits"])
    runs = [(rule, *run) for rule in sorted(steps) for run in _runs(np.array(sorted(steps[rule])), clock.seconds)]
    runs = sorted(runs, key=lambda one: one[2] - one[3])[:STRETCHES_MAX]
    for rule, times, from_s, until_s in sorted(runs, key=lambda one: one[2]):
        yield Limited(RULES[rule].value, times, _s(from_s), _s(until_s))


def _limited_steps(limits: h5py.Dataset) -> dict[int, set[int]]:
    """Return at which steps each rule changed something."""
    steps: dict[int, set[int]] = {}
    for start in range(0, len(limits), _AT_ONCE):
        part = limits[start : start + _AT_ONCE]
        for rule in np.unique(part["rule"]):
            steps.setdefault(int(rule), set()).update(np.unique(part["step"][part["rule"] == rule]).tolist())
    return {rule: at for rule, at in steps.items() if rule < len(RULES)}


def _runs(steps: NDArray[np.int64], t_s: NDArray[np.float64]) -> Iterator[tuple[int, float, float]]:
    steps = steps[steps < len(t_s) - 1]
    if not len(steps):
        return
    begins = t_s[steps]
    cuts = np.flatnonzero(np.diff(begins) > _TOGETHER_S) + 1
    for part in np.split(steps, cuts):
        yield len(part), float(t_s[part[0]]), float(t_s[part[-1] + 1])


def _camera(found: Inspected, name: str, clock: Clock) -> CameraView:
    said, events = found.meta.recorded[name], found.datasets[camera_path(name, "events")][:]
    longest_first = np.argsort(events["t_from_ns"] - events["t_to_ns"], kind="stable")
    events = events[np.sort(longest_first[:STRETCHES_MAX])]
    from_s, until_s = clock.at(events["t_from_ns"]), clock.at(events["t_to_ns"])
    troubles = [
        TroubleView(_trouble(int(one["trouble"])), int(one["pictures"]), _s(float(began)), _s(float(ended)))
        for one, began, ended in zip(events, from_s, until_s, strict=True)
    ]
    size = found.counts.cameras[name]
    return CameraView(
        name, said.codec, said.width, said.height, said.fps, said.timed, size.pictures, size.picture_bytes, troubles
    )


def _trouble(value: int) -> CameraTrouble:
    return CameraTrouble(Trouble(value).name.lower())
