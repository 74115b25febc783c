"""Whether an episode shows that its operator can drive: pure checks on what was recorded.

The first drives of a wallet are practice. They earn nothing. Once an episode passes every check here, counting what
earlier ones have shown, the wallet is qualified for pay. `docs/scoring.md` states the checks for people; success at
the task is not among them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rewards.score.fixed import Array
from rewards.score.metrics import CLOSED, OPEN, EpisodeFacts, unsound
from rewards.score.score import facts_of, score
from rewards.score.verdict import Score
from teleop.wire.messages import Safety

if TYPE_CHECKING:
    from recorder.file.episode import Episode

MOVED_M: Final = 0.05
"""How far a hand must move along each axis."""
REST_S: Final = 0.5
"""How long the dead-man must be released before the drive continues."""
DURATION_S: Final = 5.0
LIMITED_MAX: Final = 0.25
"""The largest share of steps in which a limit may cut the operator's wish."""
NEEDS: Final = {"moved_m": MOVED_M, "rest_s": REST_S, "duration_s": DURATION_S, "limited": LIMITED_MAX}
"""The thresholds, as the HTTP API gives them."""
LASTING: Final = ("move_x", "move_y", "move_z", "gripper", "let_go")
"""What need be shown only once, in any practice drive; the other checks apply to each drive."""
AXES: Final = (("x", "away and back"), ("y", "left and right"), ("z", "up and down"))
_RELEASED: Final = (Safety.HOLDING, Safety.ARMED)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the first drive must show."""

    name: str
    passed: bool
    measured: float
    """m, s, a share or a count, as the name says; rounded to four decimals."""
    sentence: str
    """What was measured, and, if the check failed, what is needed."""


@dataclass(frozen=True, slots=True)
class Practice:
    """The input of the checks: an episode of N steps."""

    facts: EpisodeFacts
    safety: NDArray[np.uint8]
    """(N,) the interlock's state in each step, a `teleop.wire.messages.Safety`."""
    grips: bool
    """Whether the robot has a gripper."""


def appraise(episode_file: Path) -> tuple[Score, tuple[Check, ...]]:
    """Return the score of an episode file and its checks; raise EpisodeError if it is not an episode."""
    from recorder.file.episode import read_episode  # here, so that the checks themselves need no file format

    practice = practice_of(read_episode(episode_file))
    return score(practice.facts), check(practice)


def practice_of(episode: Episode) -> Practice:
    """Return the input of the checks for a recorded episode."""
    return Practice(facts_of(episode), episode.arrays["safety"], episode.meta.spec.has_gripper)


def passed(checks: Iterable[Check]) -> bool:
    """Return whether an episode with these checks qualifies its operator."""
    return all(one.passed for one in checks)


def with_shown(checks: Iterable[Check], shown: Collection[str]) -> tuple[Check, ...]:
    """Return a drive's checks, so that those that are `LASTING` and were `shown` by an earlier drive pass too."""
    return tuple(
        replace(one, passed=True, sentence=f"{one.sentence.partition(';')[0]}; an earlier drive has shown it.")
        if not one.passed and one.name in LASTING and one.name in shown
        else one
        for one in checks
    )


def check(practice: Practice) -> tuple[Check, ...]:
    """Return every check of an episode. Never raises: what cannot be measured fails the single check `recording`."""
    facts = practice.facts
    broken = unsound(facts) or (None if facts.valid else f"it ended with '{facts.end_reason}'")
    if broken:
        return (Check("recording", False, 0.0, f"The episode cannot be checked: {broken}."),)
    gripper = (_gripper(facts.applied_gripper),) if practice.grips else ()
    return (
        *_moves(facts.ee_position_m),
        *gripper,
        _rest(facts.t_s, practice.safety),
        _limits(facts.limited),
        _duration(float(facts.t_s[-1] - facts.t_s[0])),
    )


def from_json(checks: Iterable[dict[str, Any]]) -> tuple[Check, ...]:
    """Return the checks that `dataclasses.asdict` made plain."""
    return tuple(Check(**one) for one in checks)


def _moves(position_m: Array) -> Iterable[Check]:
    """Check each axis: the hand (of several, the one that moved farthest along it) moved at least `MOVED_M`."""
    span_m = np.ptp(position_m.reshape(len(position_m), -1, 3), axis=0).max(axis=0)
    for (name, words), moved_m in zip(AXES, span_m.tolist(), strict=True):
        said = f"The hand moved {moved_m * 100:.1f} cm {words}"
        yield _check(f"move_{name}", moved_m >= MOVED_M, moved_m, said, f"at least {MOVED_M * 100:.0f} cm are needed")


def _gripper(applied: Array) -> Check:
    """Check that a gripper was sent closed, and open again after that; `applied` is (N, K) openings."""
    times = max(reopenings(column) for column in applied.T)
    said = f"The gripper was {'' if times else 'not '}closed and opened again"
    return _check("gripper", times >= 1, times, said, "that is needed once")


def _rest(t_s: Array, safety: NDArray[np.uint8]) -> Check:
    rest_s = longest_rest_s(t_s, safety)
    said = f"You let go for {rest_s:.1f} s and then drove on"
    return _check("let_go", rest_s >= REST_S, rest_s, said, f"at least {REST_S:.1f} s are needed")


def _limits(limited: NDArray[np.bool_]) -> Check:
    share = int(np.count_nonzero(limited)) / len(limited)
    said = f"{100 * share:.0f} % of your commands exceeded a safety limit and were reduced"
    return _check("limits", share <= LIMITED_MAX, share, said, f"at most {100 * LIMITED_MAX:.0f} % may be")


def _duration(duration_s: float) -> Check:
    said = f"The drive took {duration_s:.1f} s"
    return _check("duration", duration_s >= DURATION_S, duration_s, said, f"at least {DURATION_S:.0f} s are needed")


def _check(name: str, found: bool, measured: float, said: str, needed: str) -> Check:
    return Check(name, found, round(float(measured), 4), f"{said}." if found else f"{said}; {needed}.")


def reopenings(opening: Array) -> int:
    """Return how often an opening of (N,) went below `CLOSED` and then above `OPEN` again."""
    count, closing, is_open = 0, False, bool(opening[0] > CLOSED)
    for value in opening.tolist():
        if is_open and value < CLOSED:
            is_open, closing = False, True
        elif not is_open and value > OPEN:
            count += closing
            is_open, closing = True, False
    return count


def longest_rest_s(t_s: Array, safety: NDArray[np.uint8]) -> float:
    """Return the longest time with the dead-man released between two driven steps; 0 if there is none.

    t_s is (N+1,) s, safety (N,): step i lasts from t_s[i] to t_s[i + 1]. A drive that expires for lack of commands is
    not a release.
    """
    driven = np.flatnonzero(safety == Safety.DRIVING)
    if len(driven) == 0:
        return 0.0
    longest_s, since_s = 0.0, math.nan
    for step in range(driven[0], driven[-1]):
        if safety[step] not in _RELEASED:
            since_s = math.nan
            continue
        since_s = float(t_s[step]) if math.isnan(since_s) else since_s
        longest_s = max(longest_s, float(t_s[step + 1]) - since_s)
    return longest_s
