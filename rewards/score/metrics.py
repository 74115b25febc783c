"""How well an episode was driven: `Metrics`, by pure NumPy over one episode's arrays.

Every metric is computed on one clock, the host's or the simulation's (`versions.py`), except the timing of the host's
loop. Positions are first interpolated to a grid of 20 Hz, so that a robot with a faster or an uneven loop is measured
in the same way. Sums are correctly rounded
(`math.fsum`) or written out (`fixed.py`), so that no processor, NumPy or Python gives other bits.

An episode that cannot be measured (`unsound` says why) gets the worst value of every metric; nothing here raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from rewards.score.facts import DURATION_MAX_S as DURATION_MAX_S
from rewards.score.facts import EpisodeFacts as EpisodeFacts
from rewards.score.facts import unsound as unsound
from rewards.score.fixed import Array, magnitudes
from rewards.score.series import RATE_HZ, Mask, distance, joined, norms, rates, runs, speed, summed
from rewards.score.series import resample as resample

STILL_M_S: Final = 0.005
STILL_RAD_S: Final = 0.02
STILL_GRIPPER_S: Final = 0.05
STEP_M: Final = 0.001
"""A movement below this is sensor noise, and adds nothing to a path."""
MOVED_M: Final = 0.01
"""An episode whose hand moved less than this did not move."""
OPEN: Final = 0.6
CLOSED: Final = 0.4
STAGES_MAX: Final = 8
MOVEMENT_S: Final = 0.3
"""Movements shorter than this are too short for a spectrum."""
PAUSE_S: Final = 0.5
"""A rest shorter than this does not end a movement."""
SPARC_CUTOFF_HZ: Final = 10.0
SPARC_AMPLITUDE: Final = 0.05
PADDING: Final = 16
"""To how many times its length a movement is padded with zeros before its spectrum is taken; a power of two."""
LAG_RAD: Final = 0.1


@dataclass(frozen=True, slots=True)
class Idle:
    """For how much of an episode nothing moved."""

    fraction: float
    leading_s: float
    trailing_s: float
    longest_s: float
    longest_at_s: float
    """When the longest pause began, from the first observation."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """How well the arm could follow."""

    lag_rate: float
    clip_rate: float
    error_p95_rad: float


@dataclass(frozen=True, slots=True)
class Timing:
    """How even the robot's loop was."""

    interval_cv: float
    gap_fraction: float
    longest_s: float
    effective_hz: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics, in their own units."""

    duration_s: float
    path_m: float
    path_efficiency: float
    sparc: float | None
    """None if no movement is long enough to have a spectrum."""
    idle: Idle
    tracking: Tracking
    timing: Timing


UNMEASURED: Final = Metrics(
    0.0, 0.0, 0.0, None, Idle(1.0, 0.0, 0.0, 0.0, 0.0), Tracking(1.0, 1.0, 0.0), Timing(0.0, 1.0, 0.0, 0.0)
)
"""The metrics of an unsound episode."""


def measure(facts: EpisodeFacts) -> Metrics:
    """Return every metric of `facts`; `UNMEASURED` if `unsound(facts)`."""
    if unsound(facts) is not None:
        return UNMEASURED
    t_s = facts.t_s - facts.t_s[0]
    hand_m, joint_rad = resample(t_s, facts.ee_position_m), resample(t_s, facts.joint_rad)
    gripper = resample(t_s, facts.gripper)
    return Metrics(
        duration_s=float(t_s[-1]),
        path_m=path_length_m(hand_m),
        path_efficiency=path_efficiency(hand_m, stages(t_s, facts.applied_gripper)),
        sparc=movement_sparc(hand_m),
        idle=idle(hand_m, joint_rad, gripper),
        tracking=tracking(facts.applied_rad, facts.joint_rad[1:], facts.limited),
        timing=timing(facts.host_s, facts.control_hz),
    )


def path_length_m(position_m: Array) -> float:
    """Return the length of a path (M, D), m, counting only moves of at least 1 mm from the last counted point.

    The dead band keeps a resting arm's sensor noise from growing into a path; the last point always counts.
    """
    points: list[list[float]] = position_m.tolist()
    anchor, parts = points[0], []
    for point in points[1:]:
        part = distance(anchor, point)
        if part >= STEP_M:
            parts.append(part)
            anchor = point
    return math.fsum([*parts, distance(anchor, points[-1])])


def stages(t_s: Array, applied_gripper: Array, rate_hz: float = RATE_HZ) -> tuple[int, ...]:
    """Return the grid indices at which one stage of the episode ends and the next begins.

    A stage ends where a gripper of (N, K) was sent across its middle, with hysteresis (below 0.4 closed, above 0.6
    open): then what the hand went there for is done. At most the first seven changes count, so that fluttering the
    gripper cannot cut a wandering path into straight pieces.
    """
    ends: list[int] = []
    for openings in applied_gripper.T:
        is_open = bool(openings[0] > 0.5)
        for step, opening in enumerate(openings):
            if opening < CLOSED if is_open else opening > OPEN:
                is_open = not is_open
                ends.append(math.floor((t_s[step] - t_s[0]) * rate_hz))
    return tuple(sorted(ends)[: STAGES_MAX - 1])


def path_efficiency(position_m: Array, stage_ends: Iterable[int] = ()) -> float:
    """Return the shortest sensible length over the length travelled, in [0, 1], for the hands' path (M, D), m.

    E = sum over stages of (||v - a|| + ||b - v||) / sum over stages of path length, where a and b are the
    first and last point of the stage and v is its point farthest from the line a-b (from a, if a = b): the
    first via point of Ramer (1972) and Douglas and Peucker (1973). So a stage may be two straight lines
    (above the thing, then down; out and back) at no cost, and a closed path has a meaning. The plain ratio
    ||p_T - p_0|| / sum ||dp|| of the movement literature is this with one stage and v = a.

    0 if the hand moved less than 1 cm. Limits: a stage that needs three or more turns is called less
    efficient than it is; turning the hand in place is not a path.
    """
    cuts = [0, *(end for end in stage_ends if 0 < end < len(position_m) - 1), len(position_m) - 1]
    pieces = [position_m[first : last + 1] for first, last in pairwise(cuts)]
    taken_m = math.fsum(path_length_m(piece) for piece in pieces)
    if not taken_m >= MOVED_M:
        return 0.0
    return min(math.fsum(_two_lines_m(piece) for piece in pieces) / taken_m, 1.0)


def _two_lines_m(position_m: Array) -> float:
    first, last = position_m[0], position_m[-1]
    chord_m = distance(first, last)
    away = position_m - first
    if chord_m >= STEP_M:
        along = (last - first) / chord_m
        share = np.clip(summed(away * along), 0.0, chord_m)
        away = away - share[:, np.newaxis] * along
    via = position_m[int(np.argmax(norms(away)))]
    return distance(first, via) + distance(via, last)


def sparc(speed: Array, rate_hz: float, padding: int = PADDING) -> float | None:
    """Return the spectral arc length of a speed profile (M,): dimensionless, negative, nearer to 0 is smoother.

    SPARC = -integral over [0, w_c] of sqrt((1 / w_c)^2 + (dV/dw)^2) dw, V the magnitude spectrum over its
    maximum, zero-padded to 2^(ceil(log2 M) + 4) samples; w_c is the last frequency up to 10 Hz at which V is
    at least 0.05. Balasubramanian, Melendez-Calderon, Roby-Brami and Burdet (2015), doi
    10.1186/s12984-015-0090-9.

    None if nothing moves. Limits: it grows with the number of submovements, so compare single movements, not
    whole days; it is blind to noise far below 5 % of the movement.
    """
    if len(speed) == 0 or not np.max(speed) > 0.0:
        return None
    padded = padding << (len(speed) - 1).bit_length()
    spectrum = magnitudes(speed, padded)
    frequency_hz = np.arange(len(spectrum), dtype=np.float64) * (rate_hz / padded)
    kept = frequency_hz <= SPARC_CUTOFF_HZ
    magnitude = spectrum[kept] / np.max(spectrum)
    loud = np.flatnonzero(magnitude >= SPARC_AMPLITUDE)
    band = slice(int(loud[0]), int(loud[-1]) + 1)
    across, along = frequency_hz[kept][band], magnitude[band]
    if len(across) < 2:
        return None
    run, rise = np.diff(across) / (across[-1] - across[0]), np.diff(along)
    return -math.fsum(np.sqrt(run * run + rise * rise))


def movement_sparc(position_m: Array, rate_hz: float = RATE_HZ, padding: int = PADDING) -> float | None:
    """Return the mean SPARC of the hands' movements in a path (M, D), m, each weighted by its duration.

    A movement is a run of samples of at least 0.3 s in which the hand is faster than 5 mm/s (over 0.2 s);
    rests shorter than 0.5 s belong to it. So a real pause does not count as a jerk (`idle` measures
    pauses), and tapping does not pass for many smooth movements. None if there is no movement.
    """
    speeds = norms(np.diff(position_m, axis=0)) * rate_hz
    weighted, weight = [], 0
    for first, last in joined(runs(speed(position_m, rate_hz) >= STILL_M_S), PAUSE_S * rate_hz):
        part = speeds[first : last + 1]
        value = sparc(part, rate_hz, padding) if len(part) >= MOVEMENT_S * rate_hz else None
        if value is not None:
            weighted.append(value * len(part))
            weight += len(part)
    return math.fsum(weighted) / weight if weight else None


def idle(position_m: Array, joint_rad: Array, gripper: Array, rate_hz: float = RATE_HZ) -> Idle:
    """Return for how much of the time nothing moved: hands (M, D) m, joints (M, J) rad, grippers (M, K) opening.

    A sample is idle if the hand is slower than 5 mm/s, every joint slower than 0.02 rad/s and the gripper
    slower than 0.05/s, all over 0.2 s. `fraction` is idle samples over samples; leading, trailing and longest
    run in s. After the static-frame tests of public data-set checkers (see lerobot#3429), with our own
    thresholds. Limits: a hand that creeps below the thresholds counts as idle.
    """
    still = at_rest(position_m, joint_rad, gripper, rate_hz)
    rests = runs(still)
    samples = [last - first + 1 for first, last in rests]
    leading = samples[0] if rests and rests[0][0] == 0 else 0
    trailing = samples[-1] if rests and rests[-1][1] == len(still) - 1 else 0
    longest = max(samples, default=0)
    begun = rests[samples.index(longest)][0] if rests else 0
    return Idle(sum(samples) / len(still), leading / rate_hz, trailing / rate_hz, longest / rate_hz, begun / rate_hz)


def at_rest(position_m: Array, joint_rad: Array, gripper: Array, rate_hz: float = RATE_HZ) -> Mask:
    """Return in which samples (M,) nothing moved; `idle` says what that means."""
    still = speed(position_m, rate_hz) < STILL_M_S
    still &= np.all(rates(joint_rad, rate_hz) < STILL_RAD_S, axis=1)
    still &= np.all(rates(gripper, rate_hz) < STILL_GRIPPER_S, axis=1)
    return still


def idle_until_done(facts: EpisodeFacts) -> Idle:
    """Return the pauses before the task was done, which is what an operator is told; pay counts them all."""
    done = len(facts.t_s) if facts.done_s is None else int(np.searchsorted(facts.t_s, facts.done_s, side="right"))
    until = max(done, 2)  # a task that was done from the start has one period before that
    t_s = facts.t_s[:until] - facts.t_s[0]
    measured = facts.ee_position_m, facts.joint_rad, facts.gripper
    hands, joints, grippers = (resample(t_s, values[:until]) for values in measured)
    return idle(hands, joints, grippers)


def tracking(applied_rad: Array, seen_rad: Array, limited: Mask) -> Tracking:
    """Return how far the arm lagged behind what was applied, and how often limits cut what the operator asked for.

    `lag_rate`: steps in which any joint was seen over 0.1 rad away from where that step sent it, over steps.
    `clip_rate`: steps with a limit event, over steps. `error_p95_rad`: the 95th percentile (nearest rank) of
    the largest joint error. applied_rad and seen_rad are (N, J), seen at the end of the same step. Limits:
    pushing against something looks like lag; the gripper is left out, because a grasp is meant to stop it.
    """
    error = np.max(np.abs(applied_rad - seen_rad), axis=1)
    steps = len(error)
    p95 = float(np.sort(error)[math.ceil(0.95 * steps) - 1])
    return Tracking(int(np.count_nonzero(error > LAG_RAD)) / steps, int(np.count_nonzero(limited)) / steps, p95)


def timing(t_s: Array, control_hz: float) -> Timing:
    """Return how even the intervals of (N+1,) clock readings are, s.

    `interval_cv`: standard deviation over mean (population). A gap is an interval of more than two control
    periods; `gap_fraction` is time in gaps over time. `effective_hz`: intervals over time. Limits: it judges
    the host, not the operator, so it is a gate against broken recordings and never a graded score.
    """
    interval_s = np.diff(t_s)
    total_s = float(t_s[-1] - t_s[0])
    mean_s = total_s / len(interval_s)
    away_s = interval_s - mean_s
    spread_s = math.sqrt(math.fsum(away_s * away_s) / len(interval_s))
    gaps_s = math.fsum(interval_s[interval_s > 2.0 / control_hz])
    return Timing(spread_s / mean_s, min(gaps_s / total_s, 1.0), float(np.max(interval_s)), len(interval_s) / total_s)
