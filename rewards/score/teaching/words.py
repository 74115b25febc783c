"""What a drive's score cost and when, in sentences that help a person to drive better.

Part of version 3 of the rules; exports the sentences of each part.
"""

from __future__ import annotations

from rewards.score.series import RATE_HZ
from rewards.score.teaching.control import Control
from rewards.score.teaching.flow import Flow
from rewards.score.teaching.order import Mistake, MistakeKind
from rewards.score.teaching.pace import Pace

_COLOURS = frozenset({"red", "green", "blue"})
"""Things that are called by their colour alone."""
_STAGES = {"sort the second": "sort the second cube", "sort the third": "sort the third cube"}
"""Stages whose names, which are in every file, are whole only beside the one before them."""


def clock(sample: int) -> str:
    """Return when a sample was, as a person reads it: minutes and seconds from the first observation."""
    minutes, seconds = divmod(int(sample / RATE_HZ), 60)
    return f"{minutes}:{seconds:02}"


def thing_of(name: str) -> str:
    """Return a thing's name as it is said."""
    return f"the {name.replace('_', ' ')}{' one' if name in _COLOURS else ''}"


def stage_of(name: str) -> str:
    """Return a stage's name as it is said alone."""
    return _STAGES.get(name, name)


def of_mistake(mistake: Mistake) -> str:
    """Say what went wrong, and how to do better."""
    when, rested, mended = clock(mistake.begun), clock(mistake.ended), clock(mistake.recovered)
    if mistake.kind is MistakeKind.DROP:
        thing = thing_of(mistake.thing)
        return f"At {rested} you had let go of {thing} before it was at its goal: keep hold of it until it is there."
    if mistake.kind is MistakeKind.WRONG:
        thing = thing_of(mistake.thing)
        return f"From {when} on you moved {thing}, which should stay where it is: go to the right thing first."
    if mistake.kind is MistakeKind.SLIP:
        return (
            f"At {when} {thing_of(mistake.thing)} slipped in the fingers: grip it in the middle, and keep them closed."
        )
    if mistake.kind is MistakeKind.FALL:
        return f"At {when} you let {thing_of(mistake.thing)} fall: bring it down to where it goes before you open."
    return f"At {when} something that was done came undone, until {mended}: move slowly near what is finished."


def of_path(stage: str, begun: int, feature: str) -> str:
    """Say which stage went another way, and in what."""
    odd, better = _ODD.get(feature, _ANOTHER_WAY)
    return f"At {clock(begun)} ({stage_of(stage)}) {odd} was unlike that in drives that teach well: {better}."


_STRAIGHT = "go straight to the next thing"
_ANOTHER_WAY = "the way that things went", _STRAIGHT
_ODD = {
    "along_m": ("the distance from the hand to the thing", _STRAIGHT),
    "above_m": ("the height of the hand above the thing", "come down over its middle"),
    "height_m": ("the height of the hand", "stay only as high as you must"),
    "upright": ("the tilt of the hand", "keep the hand straight unless the thing is not"),
    "opening": ("the opening of the gripper", "open it before you reach the thing, and close it there"),
    "to_goal_m": ("the distance from the thing to its goal", "carry it straight there"),
    "over_goal_m": ("the height of the thing", "lift it only as high as you must"),
    "thing_upright": ("the tilt of the thing", "hold it as it stood"),
    "other_m": ("the distance from the hand to another thing", "leave the others alone"),
    "towards": ("the direction of the hand", _STRAIGHT),
    "aside": ("the movement of the hand to the side", _STRAIGHT),
    "up": ("the movement of the hand up and down", "go down only over the thing, and up only with it"),
    "sent": ("the opening or closing of the gripper", "open it at the goal, close it at the thing, and not between"),
}


def of_pace(stage: str, found: Pace, number: int) -> str:
    """Say which stage was slow."""
    taken, usual = found.moving_s[number], found.usual_s[number]
    said = f"You took {taken:.1f} s to {stage_of(stage)}, pauses not counted; good drives take at most {usual:.1f} s"
    return f"{said}: go faster where nothing is near, and slow down only to grip."


def of_flow(found: Flow) -> str:
    """Say for how long the operator stood still, and when most."""
    said = f"You stood still for {found.idle_s:.1f} s in all"
    if found.longest is not None:
        first, last = found.longest
        said += f"; the longest pause was {(last - first + 1) / RATE_HZ:.1f} s, at {clock(first)}"
    return f"{said}: plan before you begin, then drive without stopping."


def of_control(found: Control, first: int) -> str:
    """Say how often the arm could not do what was asked."""
    said = f"For {found.strained:.0%} of the time, longest at {clock(first)}, the arm could not do what you asked"
    return f"{said}: go slower, stay within reach, and push against nothing."
