"""A short drive by a script of what each step takes: driven, let go of, silent, armed again, resumed, one lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from teleop.steps import EpisodeEnd, EpisodeStart, Step, Taken
from teleop.wire.messages import Mode, Safety
from tests.recorder.factory import FakeOperator, fake_end, fake_episode

Drive = tuple[EpisodeStart, list[Step], EpisodeEnd]
MS: Final = 1_000_000
E, A, D, H = Safety.EXPIRED, Safety.ARMED, Safety.DRIVING, Safety.HOLDING
GOOD: Final = ("pp", "p", "ps", "r", "p", "", "", "", "rp", "p", "|r", "p", "p~p", "r")
"""What each step takes: p pressed, r released, s pressed but stale, ~ one that was lost, | the epoch of a resume."""
GOOD_SAFETY: Final = (D, D, D, H, D, D, D, E, D, D, A, D, D, H)


def taken(operator: FakeOperator, script: str, began_ns: int, width: int) -> tuple[Taken, ...]:
    """Return what a step takes: one command a millisecond, the last a millisecond before it began."""
    made, lost = [], False
    for place, what in enumerate(script):
        at_ns = began_ns - (len(script) - place) * MS
        if what == "|":
            operator.resume(operator.epoch + 1)
        elif what == "~":
            lost = True
        else:
            values, mode = np.linspace(0.1, 0.4, width), Mode.JOINT_POSITION
            how = {"dead_man": what != "r", "admitted": what != "s", "lost": lost}
            made.append(operator.send(at_ns, values, mode, **how))
            lost = False
    return tuple(made)


def drive(scripts: Sequence[str] = GOOD, safety: Sequence[Safety] = GOOD_SAFETY, **how: Any) -> Drive:
    """Return an episode of two joints in which each step takes what its script says."""
    start, steps, _ = fake_episode(len(scripts), 2, **how)
    operator, made = FakeOperator(), []
    operator.send(start.t_mono_ns, np.zeros(3), dead_man=False)
    for step, script, state in zip(steps, scripts, safety, strict=True):
        commands = taken(operator, script, step.t_began_ns, 3)
        made.append(dataclasses.replace(step, commands=commands, commanded=operator.newest, safety=state))
    return start, made, fake_end(start, made)
