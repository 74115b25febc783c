"""The gates: what must hold before a drive can be worth anything, each with a name and a sentence.

Part of version 3 of the rules; exports `Refusal` and `refusals`. Each gate refuses by exactly one name. What judges a
host's computer or a camera is never held against the operator: its sentence says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from rewards.score.facts import VALUE_MAX, EpisodeFacts, unsound
from rewards.score.metrics import MOVED_M, path_length_m, timing
from rewards.score.references.store import (
    NoReferenceSetError,
    ReferenceSet,
    ReferenceSetError,
    ReferenceVersionError,
    reference_set,
)
from rewards.score.series import norms
from rewards.score.teaching.states import names_of

STEPS_MIN: Final = 10
GAP_FRACTION_MAX: Final = 0.2
UNSEEN_MAX: Final = 0.2


class Gate(StrEnum):
    """Why an episode is not accepted."""

    UNMEASURABLE = "unmeasurable"
    STREAM_MISSING = "stream_missing"
    NO_REFERENCE_SET = "no_reference_set"
    REFERENCE_OF_ANOTHER_VERSION = "reference_of_another_version"
    REFERENCE_DAMAGED = "reference_damaged"
    INVALID_END = "invalid_end"
    SUCCESS_UNKNOWN = "success_unknown"
    NOT_DONE = "not_done"
    TOO_SHORT = "too_short"
    NO_MOTION = "no_motion"
    STALLED = "stalled"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One gate that refused."""

    gate: Gate
    sentence: str


def unmeasurable(facts: EpisodeFacts, number: int) -> Refusal | ReferenceSet:
    """Return why version 3 cannot measure a drive at all, or what it is compared with (set `number` of its task)."""
    broken = unsound(facts)
    if broken:
        return Refusal(Gate.UNMEASURABLE, f"The recording cannot be scored: {broken}.")
    if facts.success is None:
        said = "This robot cannot tell whether the task was done, so version 3 of the rules cannot accept it."
        return Refusal(Gate.SUCCESS_UNKNOWN, said)
    if lost := _lost(facts):
        return Refusal(Gate.STREAM_MISSING, f"The recording cannot be scored: {lost}.")
    try:
        found = reference_set(number, facts.task, facts.task_version)
    except NoReferenceSetError:
        said = (
            f"Version 3 of the rules has no reference set for the task '{facts.task}', so it cannot accept this drive."
        )
        return Refusal(Gate.NO_REFERENCE_SET, said)
    except ReferenceVersionError as error:
        return Refusal(Gate.REFERENCE_OF_ANOTHER_VERSION, f"The drive cannot be compared: {error}.")
    except ReferenceSetError as error:
        said = f"The rules are damaged here, and this is not your fault: {error}. Install armshare again."
        return Refusal(Gate.REFERENCE_DAMAGED, said)
    if odd := _other_shape(facts, found):
        return Refusal(Gate.STREAM_MISSING, f"The recording cannot be scored: {odd}.")
    return found


def refusals(facts: EpisodeFacts) -> tuple[Refusal, ...]:
    """Return every gate that a measurable drive does not pass; empty if it is accepted."""
    found = []
    if not facts.valid:
        said = f"The episode does not count: it ended with '{facts.end_reason}'. Finish it yourself."
        found.append(Refusal(Gate.INVALID_END, said))
    if not facts.success:
        said = "The task was not done when the episode ended. Hold the goal for half a second, then finish."
        found.append(Refusal(Gate.NOT_DONE, said))
    if facts.steps < STEPS_MIN:
        said = f"The episode has {facts.steps} steps; at least {STEPS_MIN} are needed."
        found.append(Refusal(Gate.TOO_SHORT, said))
    return (*found, *_moved(facts), *_hosts(facts))


def _moved(facts: EpisodeFacts) -> list[Refusal]:
    if bool(np.any(norms(facts.ee_position_m - facts.ee_position_m[0]) >= MOVED_M)):
        return []
    way_m = path_length_m(facts.ee_position_m)
    if way_m >= MOVED_M:
        return []
    said = f"The hand moved {way_m * 1000:.1f} mm; at least {MOVED_M * 1000:.0f} mm are needed."
    return [Refusal(Gate.NO_MOTION, said)]


def _hosts(facts: EpisodeFacts) -> list[Refusal]:
    """Return what is wrong with the recording, and nobody's driving."""
    found, gaps = [], timing(facts.host_s, facts.control_hz).gap_fraction
    if gaps > GAP_FRACTION_MAX:
        said = f"The robot's loop stalled for {gaps:.0%} of the time (at most {GAP_FRACTION_MAX:.0%} is allowed)"
        found.append(Refusal(Gate.STALLED, f"{said}: the robot's computer was too slow, not you. Tell its owner."))
    for camera, share in sorted(facts.unseen.items()):
        if not share <= UNSEEN_MAX:
            said = f"The camera {camera!r} has no usable picture for {share:.0%} of the time"
            why = f"{said} (at most {UNSEEN_MAX:.0%} is allowed): it was the camera, not you. Tell the robot's owner."
            found.append(Refusal(Gate.UNSEEN, why))
    return found


def _lost(facts: EpisodeFacts) -> str | None:
    """Return which stream version 3 needs and does not find, or finds in another shape."""
    count = facts.steps + 1
    if not facts.hands or any(name not in facts.poses for name in facts.hands):
        return "it holds no pose of the robot's hand"
    if len(facts.hands) == len(facts.poses):
        return "it holds no pose of any of the task's things"
    if unknown := sorted(facts.movable - facts.poses.keys()):
        return f"it holds no pose of {unknown[0].removesuffix('_pose')}"
    if len(facts.hands) != np.shape(facts.applied_gripper)[1]:
        return f"it holds {len(facts.hands)} hands and {np.shape(facts.applied_gripper)[1]} grippers"
    for name, pose in sorted(facts.poses.items()):
        if np.shape(pose) != (count, 7):
            return f"the episode's {name} has shape {np.shape(pose)}, not {(count, 7)}"
        if not np.all(np.abs(np.asarray(pose, dtype=np.float64)) <= VALUE_MAX):
            return f"the episode's {name} holds a value that no robot has (not a number, or above {VALUE_MAX:g})"
    if not facts.stages or facts.progress is None:
        return "it does not say how far the task had got"
    if np.shape(facts.progress) != (count,):
        return f"the episode's progress has shape {np.shape(facts.progress)}, not {(count,)}"
    return None


def _other_shape(facts: EpisodeFacts, reference: ReferenceSet) -> str | None:
    """Return how a drive differs from every drive of the set, so that it cannot be compared with any."""
    if len(facts.stages) != reference.stages:
        return f"it has {len(facts.stages)} stages, and the task {reference.stages}"
    if names_of(len(facts.hands)) != reference.features:
        return f"it has {len(facts.hands)} hands, and the task's reference drives another number"
    return None
