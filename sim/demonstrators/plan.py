"""Which mishaps a defect of a given strength means at a task, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from sim.demonstrators.defects import DefectError, Kind
from sim.demonstrators.mishaps import Detour, Drop, EarlyRelease, Hesitation, NearFailure
from sim.demonstrators.person import Leg, Mishap, Person, Thing
from sim.draws import Draws
from sim.scene import Body, Box
from sim.tasks.parts.expert import Script

_ABOVE: Final = 0.5
"""Up to this strength, what is let go early is at least above its place."""
_LIFTED_M: Final = 0.015
_ABOVE_M: Final = 0.002


def plan(hand: Person, task: str, bodies: Sequence[Body], kind: Kind, strength: float, rng: Draws) -> None:
    """Let it happen to `hand` in an episode of a task with these bodies; raise DefectError if it cannot."""
    if kind is Kind.WRONG_OBJECT:
        hand.before_grasp = _wrong_object(hand, _others(task, bodies), 0.03 + 0.09 * strength, rng)
    elif kind is Kind.EARLY_RELEASE:
        hand.mishaps += _early_release(strength, rng, places=any(body.goal for body in bodies))
    elif kind in _MADE:
        hand.mishaps += _MADE[kind](strength, rng)


def _hesitation(strength: float, rng: Draws) -> Iterator[Mishap]:
    """Up to three stops: before the grasp, on the way there, and with the object."""
    stops = ((Leg.DESCEND, 0.8), (Leg.REACH, rng.uniform(0.2, 0.9)), (Leg.LIFT, rng.uniform(0.1, 0.5)))
    for leg, part in stops[: 1 + round(2.0 * strength)]:
        yield Hesitation(leg, part, (0.4 + 2.6 * strength) * rng.uniform(0.75, 1.25))


def _detour(strength: float, rng: Draws) -> Iterator[Mishap]:
    yield Detour(Leg.REACH, rng.uniform(0.2, 0.5), (0.05 + 0.2 * strength) * rng.uniform(0.85, 1.15))


def _drop(strength: float, rng: Draws) -> Iterator[Mishap]:
    """Low if weak, high if strong."""
    yield Drop(Leg.LIFT, 0.2 + 0.3 * strength + rng.uniform(-0.05, 0.05))


def _near_failure(strength: float, rng: Draws) -> Iterator[Mishap]:
    yield NearFailure(Leg.LIFT, rng.uniform(0.2, 0.45), 0.004 + 0.008 * strength)


def _early_release(strength: float, rng: Draws, *, places: bool) -> Iterator[Mishap]:
    """Over its place if weak, beside it if strong; at a task that sets nothing down, while it is lifted."""
    if places and strength <= _ABOVE:
        yield EarlyRelease(Leg.LOWER, 0.0, 0.012 + 0.12 * strength * rng.uniform(0.9, 1.1))
    elif places:
        yield EarlyRelease(Leg.CARRY, 0.0, 0.025 + 0.035 * strength * rng.uniform(0.9, 1.1))
    else:
        yield EarlyRelease(Leg.LIFT, 0.3 + 0.3 * strength * rng.uniform(0.9, 1.1))


_MADE: Final[Mapping[Kind, Callable[[float, Draws], Iterator[Mishap]]]] = {
    Kind.HESITATION: _hesitation,
    Kind.DETOUR: _detour,
    Kind.DROP_AND_REGRASP: _drop,
    Kind.NEAR_FAILURE: _near_failure,
}


def _others(task: str, bodies: Sequence[Body]) -> list[str]:
    """Return the poses of things that can be taken from above, one of which may be the wrong one; raise DefectError."""
    loose = (body for body in bodies if body.mass_kg > 0.0 and body.slide is None)
    names = [body.pose_from for body in loose if len(body.parts) == 1 and isinstance(body.parts[0].shape, Box)]
    found = [name for name in names if name is not None]
    if len(found) < 2:
        raise DefectError(f"There is no second thing to take at {task}: choose another defect, or stack.")
    return found


def _wrong_object(hand: Person, others: Sequence[str], height_m: float, rng: Draws) -> Callable[[Thing], Script]:
    """Return what is done before the first grasp: another thing is taken, lifted to a height, and put back."""

    def first(thing: Thing) -> Script:
        other = rng.choice([name for name in others if name != thing[0]])
        page, place = hand.diary.begin(Kind.WRONG_OBJECT), hand.operator.at(other)[:3].copy()
        scale = hand.operator.scale
        hand.astray = True
        yield from hand.grasp(other)
        yield from hand.rise(float(hand.pose[2]) + height_m * scale)
        page.happened = float((hand.object_m() - place)[2]) > _LIFTED_M * scale
        page.turn()
        yield from hand.place(lambda: place, high_m=height_m * scale, low_m=_ABOVE_M)
        page.close()
        hand.astray = False

    return first
