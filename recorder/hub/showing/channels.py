"""The channels of an episode: what can be drawn as curves, by its unit and in groups that a person would look at.

Stored datasets have their own path as a name. What is computed from them: a command's values by what its mode means,
the velocity of what was applied, and times in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray

from recorder.file.episode import Inspected
from recorder.file.layout import UNKNOWN_SUCCESS
from recorder.file.meta import ArrayMeta, Meta
from recorder.hub.showing.opened import shown
from teleop.wire.messages import Mode

COLUMNS_MAX: Final = 64
"""Of one channel; a wider array (a map of forces, say) is no set of curves, and is left to whoever reads the file."""
_POSE: Final = ("x", "y", "z", "qx", "qy", "qz", "qw")
_POSE_UNITS: Final = ("m", "m", "m", "1", "1", "1", "1")
_SPEED: Final = ("vx", "vy", "vz", "wx", "wy", "wz")
_SPEED_UNITS: Final = ("m/s", "m/s", "m/s", "rad/s", "rad/s", "rad/s")
Rows = Callable[[int, int], NDArray[np.float64]]
"""Gives rows [start, stop) of a channel, (rows, columns); NaN if there are none."""


class Group(StrEnum):
    """What is looked at together."""

    JOINTS = "joints"
    VELOCITIES = "velocities"
    GRIPPERS = "grippers"
    HANDS = "hands"
    THINGS = "things"
    TASK = "task"
    TIMING = "timing"
    OTHER = "other"


class Origin(StrEnum):
    """Where a channel's values come from."""

    COMMANDED = "commanded"
    """What the operator asked for."""
    APPLIED = "applied"
    """What was done, after safety and limits."""
    MEASURED = "measured"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class ColumnView:
    """One curve of a channel."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class ChannelView:
    """One channel: some curves that belong together."""

    name: str
    group: Group
    origin: Origin
    doc: str
    columns: list[ColumnView]


@dataclass(frozen=True, slots=True)
class ChannelsAnswer:
    """Every channel of an episode; all have a row for each observation."""

    episode: str
    rows: int
    channels: list[ChannelView]


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel, and how its rows are read."""

    view: ChannelView
    rows: Rows


class UnknownChannelError(LookupError):
    """The episode has no channel of this name."""


def channels_of(file: Path) -> ChannelsAnswer:
    """Return which channels an episode has; raise an EpisodeError if its file is not one."""
    with shown(file) as found:
        return ChannelsAnswer(found.meta.episode, found.end.steps + 1, [one.view for one in channels(found)])


def channel_of(found: Inspected, name: str) -> Channel:
    """Return one channel; raise UnknownChannelError."""
    known = {one.view.name: one for one in channels(found)}
    if name not in known:
        raise UnknownChannelError(f"expected one of {', '.join(known)}, got {name[:80]!r}")
    return known[name]


def channels(found: Inspected) -> list[Channel]:
    """Return every channel, in the order in which a person would look at them."""
    made = list(chain(_observed(found), _applied(found), _commanded(found), _of_task(found), _timing(found)))
    order, origins = list(Group), list(Origin)
    made = [one for one in made if 0 < len(one.view.columns) <= COLUMNS_MAX]
    return sorted(made, key=lambda one: (order.index(one.view.group), origins.index(one.view.origin)))


def _channel(name: str, group: Group, origin: Origin, doc: str, columns: list[ColumnView], rows: Rows) -> Channel:
    return Channel(ChannelView(name, group, origin, doc, columns), rows)


def _stored(dataset: h5py.Dataset) -> Rows:
    width = math.prod(dataset.shape[1:])

    def read(start: int, stop: int) -> NDArray[np.float64]:
        values = np.full((stop - start, width), np.nan)
        there = dataset[start : min(stop, len(dataset))].reshape(-1, width)
        values[: len(there)] = there
        return values

    return read


def _columns(names: Iterator[str] | list[str], units: str | list[str]) -> list[ColumnView]:
    named = list(names)
    each = [units] * len(named) if isinstance(units, str) else units
    return [ColumnView(name, unit) for name, unit in zip(named, each, strict=True)]


def _poses(of: list[str]) -> list[ColumnView]:
    """Return the columns of a pose of each of these; one alone needs no name."""
    single = len(of) == 1
    return [
        ColumnView(part if single else f"{name} {part}", unit)
        for name in of
        for part, unit in zip(_POSE, _POSE_UNITS, strict=True)
    ]


def _observed(found: Inspected) -> Iterator[Channel]:
    for array in found.meta.spec.observation:
        group, columns = _seen_as(array, found.meta)
        path = f"observation/{array.name}"
        yield _channel(path, group, Origin.MEASURED, array.doc, columns, _stored(found.datasets[path]))


def _seen_as(array: ArrayMeta, meta: Meta) -> tuple[Group, list[ColumnView]]:
    """Return what an observation array is looked at as: by its name and shape, as the robot's spec has them."""
    spec, shape = meta.spec, tuple(array.shape)
    joints = spec.joint_names if shape == (spec.joints,) else None
    if joints and array.name.endswith("joint_position"):
        return Group.JOINTS, _columns(joints, array.unit)
    if joints and array.name.endswith("joint_velocity"):
        return Group.VELOCITIES, _columns(joints, array.unit)
    if array.name.endswith("gripper_position") and shape == (len(spec.end_effectors),):
        return Group.GRIPPERS, _columns([end.name for end in spec.end_effectors], array.unit)
    if shape == (7,):
        group = Group.HANDS if array.name in {end.pose for end in spec.end_effectors} else Group.THINGS
        return group, _poses([array.name])
    if len(shape) == 2 and shape[1] == 7:
        return Group.THINGS, _poses([str(row + 1) for row in range(shape[0])])
    if shape == (6,) and array.unit == "m/s, rad/s":
        return Group.THINGS, _columns(list(_SPEED), list(_SPEED_UNITS))
    names = joints or [str(index + 1) for index in range(min(math.prod(shape), COLUMNS_MAX + 1))]
    return Group.OTHER, _columns(names, array.unit)


def _applied(found: Inspected) -> Iterator[Channel]:
    spec, at = found.meta.spec, Origin.APPLIED
    joints, hands = found.datasets["applied/joint_position"], [end.name for end in spec.end_effectors]
    doc = "what the robot was given, after safety and its limits"
    columns = _columns(spec.joint_names, "rad")
    yield _channel("applied/joint_position", Group.JOINTS, at, doc, columns, _stored(joints))
    speed = _velocity(_stored(joints), spec.control_hz, found.end.steps)
    doc = "how fast that moved: its difference from one step to the next"
    yield _channel("applied/joint_velocity", Group.VELOCITIES, at, doc, _columns(spec.joint_names, "rad/s"), speed)
    if spec.has_gripper:
        gripper, doc = _stored(found.datasets["applied/gripper"]), "openings, 0 closed to 1 open"
        yield _channel("applied/gripper", Group.GRIPPERS, at, doc, _columns(hands, "1"), gripper)
    poses, doc = _stored(found.datasets["applied/ee_pose"]), "where the hands are at the applied joint positions"
    yield _channel("applied/ee_pose", Group.HANDS, at, doc, _poses(hands), poses)


def _velocity(rows: Rows, hz: float, steps: int) -> Rows:
    """Return the difference of each row from the one before it, a second; of the first, nothing."""

    def read(start: int, stop: int) -> NDArray[np.float64]:
        before = max(0, start - 1)
        found = np.diff(rows(before, min(stop, steps)), axis=0) * hz
        values = np.full((stop - start, found.shape[1]), np.nan)
        skipped = 1 if start == 0 else 0
        values[skipped : skipped + len(found)] = found
        return values

    return read


def _commanded(found: Inspected) -> Iterator[Channel]:
    """What the newest command asked for, at the steps at which it was of that mode."""
    spec, modes = found.meta.spec, found.datasets["commanded/mode"][:]
    hands, at = [end.name for end in spec.end_effectors], Origin.COMMANDED
    values = _stored(found.datasets["commanded/values"])
    single = len(hands) == 1
    if (modes == Mode.JOINT_POSITION).any():
        rows = _while(values, modes, Mode.JOINT_POSITION, list(range(spec.joints)))
        columns = _columns(spec.joint_names, "rad")
        yield _channel("commanded/joint_position", Group.JOINTS, at, "joint positions as asked for", columns, rows)
    if (modes == Mode.EE_TWIST).any():
        places = [7 * hand + part for hand in range(len(hands)) for part in range(6)]
        rows = _while(values, modes, Mode.EE_TWIST, places)
        names = [part if single else f"{name} {part}" for name in hands for part in _SPEED]
        columns = _columns(names, list(_SPEED_UNITS) * len(hands))
        yield _channel("commanded/ee_twist", Group.HANDS, at, "the hands' speeds as asked for", columns, rows)
    if (modes == Mode.EE_POSE).any():
        places = [8 * hand + part for hand in range(len(hands)) for part in range(7)]
        rows = _while(values, modes, Mode.EE_POSE, places)
        yield _channel("commanded/ee_pose", Group.HANDS, at, "the hands' poses as asked for", _poses(hands), rows)
    if spec.has_gripper and np.isin(modes, list(_GRIPPER_AT)).any():
        doc, rows = "openings as asked for, 0 closed to 1 open", _openings(values, modes, spec.joints, len(hands))
        yield _channel("commanded/gripper", Group.GRIPPERS, at, doc, _columns(hands, "1"), rows)


_GRIPPER_AT: Final[dict[Mode, Callable[[int, int], int]]] = {
    Mode.EE_TWIST: lambda joints, hand: 7 * hand + 6,
    Mode.EE_POSE: lambda joints, hand: 8 * hand + 7,
    Mode.JOINT_POSITION: lambda joints, hand: joints + hand,
}
"""Where in a command's values the opening of a hand's gripper is."""


def _while(rows: Rows, modes: NDArray[np.uint8], mode: Mode, places: list[int]) -> Rows:
    """Return these values of the rows at which the command was of this mode; NaN at the others."""

    def read(start: int, stop: int) -> NDArray[np.float64]:
        values = rows(start, stop)[:, places]
        other = np.ones(len(values), np.bool_)
        other[: len(modes[start:stop])] = modes[start:stop] != mode
        values[other] = np.nan
        return values

    return read


def _openings(rows: Rows, modes: NDArray[np.uint8], joints: int, hands: int) -> Rows:
    each = [_while(rows, modes, mode, [at(joints, hand) for hand in range(hands)]) for mode, at in _GRIPPER_AT.items()]

    def read(start: int, stop: int) -> NDArray[np.float64]:
        values = each[0](start, stop)
        for other in each[1:]:
            found = other(start, stop)
            values = np.where(np.isnan(values), found, values)
        return values

    return read


def _of_task(found: Inspected) -> Iterator[Channel]:
    progress, success = _stored(found.datasets["progress"]), _known(_stored(found.datasets["success"]))
    for name, doc, rows in (
        ("progress", "how far the task was, 0 to 1", progress),
        ("success", "1 once it is done, 0 before", success),
    ):
        yield _channel(name, Group.TASK, Origin.MEASURED, doc, [ColumnView(name, "1")], rows)


def _known(rows: Rows) -> Rows:
    """Return success, or nothing if the robot cannot know."""

    def read(start: int, stop: int) -> NDArray[np.float64]:
        values = rows(start, stop)
        values[values == UNKNOWN_SUCCESS] = np.nan
        return values

    return read


def _timing(found: Inspected) -> Iterator[Channel]:
    """Times in milliseconds; of an episode that was simulated faster than real time, the simulation's."""
    made = found.datasets
    seen, sent = made["time/t_observed_mono_ns"], made["time/t_sent_mono_ns"]
    one = [ColumnView("period", "ms")]
    doc = "from each observation to the next"
    yield _channel("timing/period", Group.TIMING, Origin.COMPUTED, doc, one, _apart(seen, 1, seen, 0))
    one, doc = [ColumnView("to action", "ms")], "from each observation until its action was handed to the robot"
    yield _channel("timing/to_action", Group.TIMING, Origin.COMPUTED, doc, one, _apart(sent, 0, seen, 0))
    if "commands/t_arrived_mono_ns" in made and made["commands/step"].shape[0]:
        one, doc = [ColumnView("age of command", "ms")], "how old the newest command was when its step began"
        yield _channel("timing/command_age", Group.TIMING, Origin.COMPUTED, doc, one, _ages(found))


def _apart(late: h5py.Dataset, ahead: int, early: h5py.Dataset, behind: int) -> Rows:
    """Return late[row + ahead] - early[row + behind], ms."""

    def read(start: int, stop: int) -> NDArray[np.float64]:
        until = min(stop, len(late) - ahead, len(early) - behind)
        values = np.full((stop - start, 1), np.nan)
        if until > start:
            apart_ns = late[start + ahead : until + ahead] - early[start + behind : until + behind]
            values[: until - start, 0] = apart_ns / 1e6
        return values

    return read


def _ages(found: Inspected) -> Rows:
    made = found.datasets
    admitted = np.flatnonzero(made["commands/admitted"][:])
    steps, arrived = made["commands/step"][:][admitted], made["commands/t_arrived_mono_ns"][:][admitted]
    began = made["time/t_began_mono_ns"]

    def read(start: int, stop: int) -> NDArray[np.float64]:
        rows = np.arange(start, min(stop, len(began)))
        values = np.full((stop - start, 1), np.nan)
        newest = np.searchsorted(steps, rows, side="right") - 1
        known = newest >= 0
        ages_ns = began[start : start + len(rows)][known] - arrived[newest[known]]
        values[: len(rows)][known, 0] = ages_ns / 1e6
        return values

    return read
