"""What a drive can be told that version 3 cannot judge, because its robot cannot tell whether the task was done.

It helps whoever drove, and nothing is paid by it. The measures are those of version 2: they need no object, and no
reference set.
"""

from __future__ import annotations

from typing import Final

from rewards.score.facts import EpisodeFacts
from rewards.score.metrics import Metrics, at_rest
from rewards.score.series import RATE_HZ, Mask, joined, resample, runs
from rewards.score.verdict import Segment, SegmentKind

FOR_YOU: Final = (
    "The drive waits for people to review it. Until then nothing is paid for it, and what is said here of how you "
    "drove is for you alone."
)
_SEGMENT_S: Final = 0.5
"""A pause or a strain shorter than this is not marked."""


def shown_of(metrics: Metrics) -> dict[str, float]:
    """Return what was measured, under the names that version 3 has for it."""
    idle = metrics.idle
    shown = {
        "duration_s": metrics.duration_s,
        "path_efficiency": metrics.path_efficiency,
        "idle_s": idle.fraction * metrics.duration_s,
        "limited": metrics.tracking.clip_rate,
    }
    return shown if metrics.sparc is None else {**shown, "smoothness": metrics.sparc}


def segments_of(facts: EpisodeFacts) -> tuple[Segment, ...]:
    """Return where nothing moved between the first motion and the last, and where a limit cut what was asked for."""
    t_s = facts.t_s - facts.t_s[0]
    hands_m, joints_rad = resample(t_s, facts.ee_position_m), resample(t_s, facts.joint_rad)
    still = at_rest(hands_m, joints_rad, resample(t_s, facts.gripper), RATE_HZ)
    rests = [(first / RATE_HZ, last / RATE_HZ) for first, last in runs(still) if first > 0 and last < len(still) - 1]
    found = [Segment(SegmentKind.IDLE, *rest) for rest in rests]
    found += [Segment(SegmentKind.LIMITED, float(t_s[first]), float(t_s[last + 1])) for first, last in _limited(facts)]
    lasting = (one for one in found if one.until_s - one.from_s >= _SEGMENT_S)
    return tuple(sorted(lasting, key=lambda one: (one.from_s, one.until_s, one.kind)))


def _limited(facts: EpisodeFacts) -> list[tuple[int, int]]:
    limited: Mask = facts.limited
    return joined(runs(limited), _SEGMENT_S * facts.control_hz)
