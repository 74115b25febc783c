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


def clock(sample: int) -> str:
    """Return when a sample was, as a person reads it: minutes and seconds from the first observation."""
    minutes, seconds = divmod(int(sample / RATE_HZ), 60)
    return f"{minutes}:{seconds:02}"


def thing_of(name: str) -> str:
    """Return a thing's name as it is said."""
    return f"the {name.replace('_', ' ')}{' one' if name in _COLOURS else ''}"


def of_mistake(mistake: Mistake) -> str:
    """Say what went wrong, and how to do better."""
    when, mended = clock(mistake.begun), clock(mistake.recovered)
    if mistake.kind is MistakeKind.DROP:
        thing = thing_of(mistake.thing)
        said = f"You let {thing} go at {clock(mistake.ended)} before it was where it should be, and took it up again"
        return f"{said} by {mended}: grip it in the middle, and open the gripper only at the goal."
    if mistake.kind is MistakeKind.WRONG:
        thing = thing_of(mistake.thing)
        return f"You went for {thing} from {when} on, and nobody has to move it: go to the right thing first."
    if mistake.kind is MistakeKind.SLIP:
        return (
            f"At {when} {thing_of(mistake.thing)} slipped in the fingers: grip it in the middle, and keep them closed."
        )
    if mistake.kind is MistakeKind.FALL:
        return f"At {when} you let {thing_of(mistake.thing)} fall: bring it down to where it goes before you open."
    return f"At {when} something that was done came undone, until {mended}: go on slowly where it is tight."


def of_path(stage: str, begun: int, feature: str) -> str:
    """Say which stage went another way, and in what."""
    odd, better = _ODD.get(feature, _ANOTHER_WAY)
    return f"At {clock(begun)}, while you were to {stage}, {odd} than in drives that teach well: {better}."


_STRAIGHT = "go straight to the next thing"
_ANOTHER_WAY = "things went otherwise", _STRAIGHT
_ODD = {
    "along_m": ("the hand was farther from the thing, or nearer,", _STRAIGHT),
    "above_m": ("the hand was higher above the thing, or lower,", "come down over its middle"),
    "height_m": ("the hand was higher, or lower,", "stay only as high as you must"),
    "upright": ("the hand was tilted more, or less,", "keep the hand straight unless the thing is not"),
    "opening": ("the gripper was open more, or less,", "open it before you reach the thing, and close it there"),
    "to_goal_m": ("the thing was farther from where it belongs, or nearer,", "carry it straight there"),
    "over_goal_m": ("the thing was higher, or lower,", "lift it only as high as you must"),
    "thing_upright": ("the thing was tilted more, or less,", "hold it as it stood"),
    "other_m": ("the hand was nearer to another thing", "leave the others alone"),
    "towards": ("the hand went less straight to its goal", _STRAIGHT),
    "aside": ("the hand went more to the side", _STRAIGHT),
    "up": ("the hand rose or sank more", "go down only over the thing, and up only with it"),
    "sent": ("you opened or closed the gripper more", "open it at the goal, close it at the thing, and not between"),
}


def of_pace(stage: str, found: Pace, number: int) -> str:
    """Say which stage was slow."""
    taken, usual = found.moving_s[number], found.usual_s[number]
    said = f"You moved for {taken:.1f} s to {stage}; most people need at most {usual:.1f} s"
    return f"{said}: go faster where nothing is near, and slow down only to grip."


def of_flow(found: Flow) -> str:
    """Say when the operator paused."""
    if found.longest is None:
        return "You paused."
    first, last = found.longest
    long_s = (last - first + 1) / RATE_HZ
    said = f"You stood still for {found.idle_s:.1f} s in all, the longest time {long_s:.1f} s at {clock(first)}"
    return f"{said}: think before you begin, then drive through."


def of_control(found: Control, first: int) -> str:
    """Say how often the arm could not do what was asked."""
    said = f"For {found.strained:.0%} of the time, first at {clock(first)}, you asked for more than the arm can do"
    return f"{said}: go slower, and stay within reach."
