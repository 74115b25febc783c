"""What a hub itself knows of an episode, before its host hands it in: what it asked for, of whom, when, and what it
heard while it was driven.

Pure: each function returns the first difference as a sentence, or None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from recorder.file.meta import EndMeta, Meta
from recorder.proof.manifest import Manifest
from teleop.wire.driver import Driver
from teleop.wire.reasons import EndReason

SKEW_MS: Final = 5 * 60_000
"""How far a host's wall clock may be from the hub's. NTP keeps clocks within a second; this is for those without."""
SLACK_MS: Final = 500
"""How much longer than the hub's clock allows an episode may last: `ready` may have been late, or that clock set."""
FASTEST: Final = 2.0
"""How much faster than its rate an episode may be recorded: a press moves a robot's next period forward by half."""
_TASK: Final = ("name", "version", "instruction", "paraphrases", "stages", "max_steps")
_JOINTS: Final = (
    "joint_names",
    "joint_lower_rad",
    "joint_upper_rad",
    "joint_velocity_max_rad_s",
    "home_rad",
    "control_hz",
)
_RESOLUTION: Final = "joint_resolution_rad"
"""Neither a descriptor nor an episode of an earlier release has it."""
_BASE: Final = ("joint_names", "speed_max_m_s", "turn_max_rad_s")
_CUT: Final = frozenset({EndReason.HOST_LOST, EndReason.DISK_FULL, EndReason.RECORDER_FAILED})
"""Why a recording may be shorter than its host said when it ended: what could not be written is not in it."""
_WORD: Final = {
    True: "said that the task was done",
    False: "said that the task was not done",
    None: "did not say whether the task was done",
}
_ONLY_SENT: Final = frozenset({"commanded_joint_position", "commanded_gripper_position"})
"""Arrays of a state that no episode has (PROTOCOL.md)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the hub fixed when it began an episode: nothing of it is the host's to choose afterwards."""

    model: str
    """As the robot's owner registered it."""
    simulated: bool
    """As the robot's owner registered it."""
    described: Mapping[str, Any]
    """The descriptor that the robot's host had sent, as the robot is at the task."""
    grant: Mapping[str, Any]
    """The values of the operator's `SessionGrant`."""
    grant_signature: str
    issued_ms: int
    """When, by the hub's clock."""
    format: int = 1
    """The version of FORMAT.md that it must have: an older one keeps less that could be checked."""
    driver: Driver | None = None
    """Who or what drives, as the operator said before it began; None for a ticket of an earlier release."""


@dataclass(frozen=True, slots=True)
class SaidEnd:
    """How an episode ended, as its host said at once, and as its operator was told."""

    kept: bool
    steps: int
    success: bool | None
    valid: bool
    reason: EndReason


@dataclass(frozen=True, slots=True)
class Live:
    """What the hub heard while an episode was driven; None: it did not hear it, as a connection was lost."""

    ready_ms: int | None = None
    """When the robot was ready, by the hub's clock."""
    finished: bool | None = False
    """Whether it passed on that the operator finished; None if it does not know, as it crashed during the lease."""
    ended_ms: int | None = None
    """When it was over, by the hub's clock: measured from `ready_ms`, whatever was set meanwhile."""
    ended: SaidEnd | None = None
    said: bool | None = None
    """Whether the task was done, in the operator's word at `finish`."""


def another_grant(asked: Asked, manifest: Manifest) -> str | None:
    """Say whether an episode is under another grant than the lease that it was driven in."""
    said = {**msgspec.to_builtins(manifest.grant.values), "notAfterMs": int(manifest.grant.values.not_after_ms)}
    if (said, manifest.grant.signature) == (dict(asked.grant), asked.grant_signature):
        return None
    return "the episode names another grant than the one that its lease was given for"


def another_format(asked: Asked, manifest: Manifest) -> str | None:
    """Say whether an episode has an older format than its host had agreed to."""
    if manifest.version >= asked.format:
        return None
    return f"the hub asked for an episode of version {asked.format}, and this is one of version {manifest.version}"


def another_driver(asked: Asked, manifest: Manifest) -> str | None:
    """Say whether an episode names another driver than its operator did: no host makes a person of a program."""
    if asked.driver is None or manifest.driver == asked.driver:
        return None
    said = "nobody" if manifest.driver is msgspec.UNSET else manifest.driver
    return f"the operator said that {asked.driver} drives, the episode says {said}"


def other_rules(rules: str | None, manifest: Manifest) -> str | None:
    """Say whether an episode names other scoring rules than its hub did when it began.

    `rules` None: a ticket of an earlier release named none, and nobody may choose some afterwards.
    """
    said = None if manifest.rules is msgspec.UNSET else manifest.rules
    if said == rules:
        return None
    ordered, found = (f"the rules {one!r}" if one is not None else "no rules" for one in (rules, said))
    return f"the hub named {ordered} when the episode began, the episode names {found}; its host must be updated"


def another_robot(asked: Asked, meta: Meta) -> str | None:
    """Say what an episode says otherwise of its robot or its task than the hub was told before it began."""
    there = asked.described
    task: Mapping[str, Any] = next((one for one in there["tasks"] if one["name"] == meta.task.name), {})
    spec, own = msgspec.to_builtins(meta.spec), msgspec.to_builtins(meta.task)
    arrays = [array for array in there["observation"] if array["name"] not in _ONLY_SENT]
    expected = {
        "robot.simulated": asked.simulated,
        "robot.model": asked.model,
        **{f"task.{name}": task.get(name) for name in _TASK},
        **{f"spec.{name}": there[name] for name in _JOINTS},
        f"spec.{_RESOLUTION}": there.get(_RESOLUTION),
        "spec.end_effectors": there["end_effectors"],
        "spec.base": there["base"],
        "spec.observation": arrays,
    }
    base = spec["base"] and {name: spec["base"][name] for name in _BASE}
    found = {
        "robot.simulated": meta.robot.simulated,
        "robot.model": meta.robot.model,
        **{f"task.{name}": own[name] for name in _TASK},
        **{f"spec.{name}": spec[name] for name in _JOINTS},
        f"spec.{_RESOLUTION}": spec.get(_RESOLUTION),
        "spec.end_effectors": spec["end_effectors"],
        "spec.base": base,
        "spec.observation": spec["observation"],
    }
    for name, value in expected.items():
        if _plain(value) != _plain(found[name]):
            told, said = _short(value), _short(found[name])
            return f"{name}: the hub was told {told} before the episode began, the episode says {said}"
    return _another_camera(there.get("cameras", ()), meta)


def _another_camera(described: Sequence[Mapping[str, Any]], meta: Meta) -> str | None:
    """Say which camera has pictures that the robot did not have, or not in this size, or at another rate."""
    sizes = {camera["name"]: (camera["width"], camera["height"], float(camera["fps"])) for camera in described}
    for name, camera in meta.recorded.items():
        if name not in sizes:
            return f"cameras: the hub was told of {sorted(sizes)} before the episode began, the episode has {name!r}"
        if sizes[name] != (found := (camera.width, camera.height, camera.fps)):
            told, said = ("{}x{} at {:g} a second".format(*one) for one in (sizes[name], found))
            return f"cameras.{name}: the hub was told {told} before the episode began, the episode says {said}"
    return None


def another_end(live: Live, manifest: Manifest) -> str | None:
    """Say what an episode says otherwise of its end than was heard when it ended.

    A recording that its host could not finish is shorter than that, and says so: it does not count.
    """
    if manifest.reason is EndReason.FINISHED and live.finished is False:
        return "the episode says that its operator finished it, and no `finish` came from them"
    heard = live.ended
    if heard is None or (manifest.reason in _CUT and manifest.steps <= heard.steps):
        return None
    told = (heard.kept, heard.steps, heard.success, heard.valid, heard.reason)
    said = (True, manifest.steps, manifest.success, manifest.valid, manifest.reason)
    if told == said:
        return None
    return f"when it ended, its host said {_end(*told)}; now it says {_end(*said)}"


def another_word(live: Live, end: EndMeta) -> str | None:
    """Say whether an episode has another word of its operator than the hub passed on: it is theirs, not a host's.

    An episode that ended otherwise than by their `finish` has none, even if that came a moment later.
    """
    found = None if end.said is msgspec.UNSET else end.said
    passed_on = live.said if end.reason is EndReason.FINISHED else None
    if found == passed_on or live.finished is None:
        return None
    told, said = (_WORD[one] for one in (passed_on, found))
    return f"as they finished, the operator {told}; the episode says that they {said}"


def untimely(
    asked: Asked, received_ms: int, manifest: Manifest, span_ms: float, live: Live | None = None
) -> str | None:
    """Say what cannot be of an episode's times, as the hub's own clock saw them.

    They lie between `ready` and `ended` as it heard them, or between its order and the arrival if it did not.
    `span_ms` is from the first observation to the last by the host's monotonic clock.
    """
    started_ms, ended_ms = int(manifest.started_ms), int(manifest.ended_ms)
    live = live or Live()
    since_ms = asked.issued_ms if live.ready_ms is None else live.ready_ms
    until_ms = received_ms if live.ended_ms is None else live.ended_ms
    after, before = _between(live)
    if started_ms < since_ms - SKEW_MS or ended_ms > until_ms + SKEW_MS:
        early, late = since_ms - started_ms, ended_ms - until_ms
        off = f"{early / 1000:.0f} s before {after}" if early > late else f"{late / 1000:.0f} s after {before}"
        return (
            f"the host's clock says that the episode was {off}; "
            f"set that clock right, to {SKEW_MS // 60_000} minutes at most"
        )
    open_ms = until_ms - since_ms
    if span_ms > open_ms + SLACK_MS:
        return (
            f"the episode lasts {span_ms / 1000:.1f} s, "
            f"and there were {open_ms / 1000:.1f} s from when {after} to when {before}"
        )
    if abs((ended_ms - started_ms) - span_ms) > SKEW_MS:
        return (
            f"the host's two clocks disagree: {(ended_ms - started_ms) / 1000:.0f} s by the one that dates, "
            f"{span_ms / 1000:.0f} s by the one that measures"
        )
    shortest_ms = 1000 * manifest.steps / manifest.control_hz / FASTEST
    if span_ms < shortest_ms:
        return (
            f"{manifest.steps} steps at {manifest.control_hz:g} Hz take at least {shortest_ms / 1000:.1f} s, "
            f"the episode has {span_ms / 1000:.1f} s"
        )
    return None


def _between(live: Live) -> tuple[str, str]:
    """Return in words what an episode lies between."""
    return (
        "it was asked for" if live.ready_ms is None else "the robot was ready",
        "it came" if live.ended_ms is None else "its end was told",
    )


def _end(kept: bool, steps: int, success: bool | None, valid: bool, reason: EndReason) -> str:
    words = {True: "success", False: "no success", None: "success unknown"}
    counts = "" if valid == reason.valid else ", which it says counts" if valid else ", which it says does not count"
    return f"{reason.value} after {steps} steps, {words[success]}{counts}" if kept else "that nothing was recorded"


def _plain(value: Any) -> Any:
    """Return JSON's own types, so that a list and a tuple, or 1 and 1.0, are the same."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _short(value: Any) -> str:
    said = msgspec.json.encode(value).decode()
    return said if len(said) <= 120 else f"{said[:117]}..."
