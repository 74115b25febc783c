"""What an episode is worth under the rules: pure, and the same integer on every machine.

`docs/scoring.md` states the rules for people; this module is the rules. The five components are rounded to
four decimals before they are weighed, and weighed in integers, so that the last bits of a processor's
arithmetic do not reach the score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.file.layout import RULES, camera_path
from rewards.score import unjudged
from rewards.score.facts import EpisodeFacts, unsound
from rewards.score.fixed import Array
from rewards.score.metrics import MOVED_M, PAUSE_S, Metrics, idle_until_done, measure
from rewards.score.teaching.integrity import Gate
from rewards.score.teaching.rules import teaching_score
from rewards.score.verdict import ONE_PPM, Score
from rewards.score.versions import THIRD, measured_s, moved_s, require_known, version_of
from sim.motion.control import SHAPING

if TYPE_CHECKING:
    from recorder.file.episode import Episode

STEPS_MIN: Final = 10
GAP_FRACTION_MAX: Final = 0.2
ADVICE_BELOW_PPM: Final = 800_000


@dataclass(frozen=True, slots=True)
class Vector:
    """The published components, each in parts per million: 0 worst, 1_000_000 best."""

    success: int
    path_efficiency: int
    smoothness: int
    idle: int
    tracking: int

    def as_dict(self) -> dict[str, float]:
        """Return the components in [0, 1], as published."""
        return {field.name: getattr(self, field.name) / ONE_PPM for field in fields(self)}


WEIGHTS_PERCENT: Final = Vector(success=40, path_efficiency=20, smoothness=15, idle=15, tracking=10)


def score(facts: EpisodeFacts) -> Score:
    """Return the score of `facts` by their version of the rules.

    Never raises: what cannot be measured is rejected, with the reason.
    """
    if facts.version == THIRD:
        found = teaching_score(facts)
        return _told_anyway(found, facts) if Gate.SUCCESS_UNKNOWN in found.refused else found
    metrics = measure(facts)
    vector = components(facts, metrics)
    refusals = refused_because(facts, metrics)
    advice = () if unsound(facts) else advise(facts, metrics, vector)
    return Score(facts.version, weigh(vector), not refusals, vector.as_dict(), refusals + advice)


def _told_anyway(found: Score, facts: EpisodeFacts) -> Score:
    """Add what helps whoever drove a robot that cannot tell whether the task was done; nothing is paid by it."""
    metrics = measure(facts)
    advice = advise(facts, metrics, components(facts, metrics))
    shown, segments = unjudged.shown_of(metrics), unjudged.segments_of(facts)
    return replace(found, reasons=(*found.reasons, unjudged.FOR_YOU, *advice), shown=shown, segments=segments)


def recompute(episode_file: Path, version: str | None = None) -> Score:
    """Return the score of an episode file, from its bytes alone; raise EpisodeError if it is not an episode,
    and UnknownRulesError if its rules, or those that are asked for, are not here.

    `version` is that of the rules; by default the one that the file determines, which is the one that pays. The
    platform runs this, and anyone can run it to check. `recorder.proof.verify` checks that the bytes are the ones that
    were signed.
    """
    from recorder.file.episode import read_episode  # here, so that the rules themselves need no file format

    return score_of(read_episode(episode_file), version)


def score_of(episode: Episode, version: str | None = None) -> Score:
    """Return the score of a recorded episode; by default by the version of the rules that its file determines.

    Raises UnknownRulesError.
    """
    return score(facts_of(episode, version))


def facts_of(episode: Episode, version: str | None = None) -> EpisodeFacts:
    """Return what a version of the rules looks at in a recorded episode; by default the version that it determines.

    Raises UnknownRulesError. Any rule of safety makes a step limited except those that only smooth
    (`sim.motion.control.SHAPING`): opening or closing at full speed, or starting at once, is not a mistake.
    """
    steps = episode.steps
    version = version_of(episode.meta) if version is None else require_known(version)
    t_s = moved_s(episode, version)
    observed, limits = episode.observations, episode.arrays["limits"]
    counted = limits["step"][~np.isin(limits["rule"], [RULES.index(rule) for rule in SHAPING])]
    limited = np.zeros(steps, dtype=np.bool_)
    limited[counted[counted < steps]] = True
    hands = [observed[end.pose][:, :3] for end in episode.meta.spec.end_effectors]
    gripper = observed.get("gripper_position", np.zeros((steps + 1, len(hands))))
    return EpisodeFacts(
        episode=episode.meta.episode,
        task=episode.meta.task.name,
        success=episode.end.success,
        valid=episode.end.reason.valid,
        end_reason=episode.end.reason.value,
        control_hz=episode.meta.spec.control_hz,
        t_s=t_s,
        ee_position_m=np.hstack(hands),
        joint_rad=observed["joint_position"],
        gripper=gripper,
        applied_rad=episode.applied_joint_position,
        applied_gripper=episode.applied_gripper,
        limited=limited,
        done_s=_done_s(episode.arrays["success"], t_s),
        measured_s=measured_s(episode),
        version=version,
        poses={array.name: observed[array.name] for array in episode.meta.spec.observation if array.shape == [7]},
        hands=tuple(end.pose for end in episode.meta.spec.end_effectors),
        movable=_movable(episode),
        progress=episode.arrays["progress"],
        stages=tuple(episode.meta.task.stages),
        task_version=episode.meta.task.version,
        unseen=unseen(episode),
    )


def _movable(episode: Episode) -> frozenset[str]:
    """Return the arrays of the poses of things that have a velocity too: others cannot be moved."""
    names = {array.name for array in episode.meta.spec.observation}
    return frozenset(f"{name[: -len('_velocity')]}_pose" for name in names if name.endswith("_velocity")) & names


def unseen(episode: Episode) -> dict[str, float]:
    """Return for which share of the time each camera has no picture, or a frozen or a black one."""
    first, last = int(episode.t_observed_ns[0]), int(episode.t_observed_ns[-1])
    return {
        name: min(_troubled_ns(episode.arrays[camera_path(name, "events")], first, last) / max(last - first, 1), 1.0)
        for name in sorted(episode.meta.recorded)
    }


def _troubled_ns(events: NDArray[Any], first: int, last: int) -> int:
    """Return how long `events`, in order of their beginning, last between `first` and `last`, ns."""
    troubled, until = 0, first
    for begin, end in zip(events["t_from_ns"].tolist(), events["t_to_ns"].tolist(), strict=True):
        troubled += max(min(end, last) - max(begin, until), 0)
        until = max(until, min(end, last))
    return troubled


def _done_s(success: NDArray[np.int8], t_s: Array) -> float | None:
    """Return from when on `success` (N+1,) is 1 to the end, s from the first observation."""
    undone = np.flatnonzero(success != 1)
    first = int(undone[-1]) + 1 if len(undone) else 0
    return None if first == len(success) else float(t_s[first])


def pay_wei(scored: Score, price_wei: int) -> int:
    """Return floor(price * score): 0 for an episode that was not accepted."""
    return price_wei * scored.score_ppm // ONE_PPM if scored.accepted else 0


def components(facts: EpisodeFacts, metrics: Metrics) -> Vector:
    """Return the five components: linear between the value that gives 0 and the value that gives 1."""
    unfollowed = metrics.tracking.lag_rate + metrics.tracking.clip_rate
    return Vector(
        success=ONE_PPM if facts.success is True else 0,
        path_efficiency=ramp_ppm(metrics.path_efficiency, 0.0, 1.0),
        smoothness=0 if metrics.sparc is None else ramp_ppm(metrics.sparc, -6.5, -2.5),
        idle=ramp_ppm(metrics.idle.fraction, 0.7, 0.2),
        tracking=ramp_ppm(unfollowed, 1.0, 0.0),
    )


def ramp_ppm(value: float, worst: float, best: float) -> int:
    """Return where `value` lies from `worst` (0) to `best` (1_000_000), in steps of 100, halves up."""
    share = (value - worst) / (best - worst)
    return 0 if math.isnan(share) else math.floor(min(max(share, 0.0), 1.0) * 10_000 + 0.5) * 100


def weigh(vector: Vector) -> int:
    """Return floor(sum of weight * component), in ppm."""
    total: int = sum(getattr(WEIGHTS_PERCENT, f.name) * getattr(vector, f.name) for f in fields(vector))
    return total // 100


def refused_because(facts: EpisodeFacts, metrics: Metrics) -> tuple[str, ...]:
    """Return every reason for which the episode is not accepted; empty if it is."""
    broken = unsound(facts)
    if broken:
        return (f"The recording cannot be scored: {broken}.",)
    reasons = []
    if not facts.valid:
        reasons.append(f"The episode does not count: it ended with '{facts.end_reason}'. Finish it yourself.")
    if facts.success is None:
        cannot = f"so version {facts.version} of the rules cannot accept it"
        reasons.append(f"This robot cannot tell whether the task was done, {cannot}.")
    elif not facts.success:
        reasons.append("The task was not done when the episode ended. Hold the goal for half a second, then finish.")
    if facts.steps < STEPS_MIN:
        reasons.append(f"The episode has {facts.steps} steps; at least {STEPS_MIN} are needed.")
    if metrics.path_m < MOVED_M:
        reasons.append(f"The hand moved {metrics.path_m * 1000:.1f} mm; at least {MOVED_M * 1000:.0f} mm are needed.")
    if metrics.timing.gap_fraction > GAP_FRACTION_MAX:
        reasons.append(
            f"The robot's loop stalled for {metrics.timing.gap_fraction:.0%} of the time (at most "
            f"{GAP_FRACTION_MAX:.0%} is allowed): the robot's computer was too slow, not you. Tell its owner."
        )
    return tuple(reasons)


def advise(facts: EpisodeFacts, metrics: Metrics, vector: Vector) -> tuple[str, ...]:
    """Return what to do better, for each component below 0.8."""
    tracking = metrics.tracking
    smooth = "The hand never moved for long enough to judge its smoothness."
    if metrics.sparc is not None:
        smooth = f"The hand moved unevenly (SPARC {metrics.sparc:.1f}; -2.5 is smooth): press longer, tap less."
    texts = {
        "path_efficiency": f"The hand went {metrics.path_m:.2f} m, and {metrics.path_efficiency:.0%} of that "
        "was needed: go straight to each goal.",
        "smoothness": smooth,
        "idle": _of_pauses(facts, metrics.duration_s),
        "tracking": f"{100 * tracking.clip_rate:.0f} % of your commands exceeded a safety limit and were reduced, and "
        f"{100 * tracking.lag_rate:.0f} % of the time the arm could not follow: move slower, and stay within reach.",
    }
    return tuple(text for name, text in texts.items() if getattr(vector, name) < ADVICE_BELOW_PPM)


def _of_pauses(facts: EpisodeFacts, duration_s: float) -> str:
    """Say when an operator paused; after the task was done nobody has to move, only to finish."""
    idle = idle_until_done(facts)
    late_s = 0.0 if facts.done_s is None else duration_s - facts.done_s
    told = []
    if idle.longest_s >= PAUSE_S or late_s < PAUSE_S:
        until = "" if facts.done_s is None else " until the task was done"
        minutes, seconds = divmod(int(idle.longest_at_s), 60)
        told.append(f"You paused for {idle.fraction:.0%} of the time{until}.")
        moment = f", at {minutes}:{seconds:02}" if idle.longest_at_s > 0.0 else " before the first move"
        told.append(f"The longest pause was {idle.longest_s:.1f} s{moment}.")
    if late_s >= PAUSE_S:
        told.append(f"You finished {late_s:.1f} s after the task was done: finish at once.")
    return " ".join(told)
