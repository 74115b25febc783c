"""Draws docs/scoring.md's pictures from simulated drives: `python docs/scoring_pictures.py --to docs/pictures/scoring`.

A clean lift of the Panda's scripted expert, and the same with one fault each. Nothing but NumPy draws: an SVG of a few
kilobytes each, whose lines are what version 3 of the rules measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 560, 220, 52, 26, 34
GREY, GREEN, RED, BLUE, AMBER, INK = "#9aa3ad", "#2f9e6b", "#d9483b", "#3b7dd8", "#e3a008", "#3a4149"
SEED = 3
Fault = Callable[[int, Any, Any], Any]
"""From the step, the observation values and what the expert asks to what is asked."""


@dataclass
class Picture:
    """One diagram: lines and bands in the units of its axes."""

    title: str
    across: tuple[float, float]
    up: tuple[float, float]
    across_is: str
    up_is: str
    parts: list[str] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)

    def x(self, value: float) -> float:
        low, high = self.across
        return LEFT + (WIDTH - LEFT - 12) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self.up
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    def line(self, across: Iterable[float], up: Iterable[float], colour: str, width: float = 1.6) -> None:
        points = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in zip(across, up, strict=True))
        self.parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>')

    def dots(self, across: Iterable[float], up: Iterable[float], colour: str, radius: float = 2.5) -> None:
        for a, b in zip(across, up, strict=True):
            self.parts.append(f'<circle cx="{self.x(a):.1f}" cy="{self.y(b):.1f}" r="{radius}" fill="{colour}"/>')

    def band(self, begin: float, end: float, colour: str) -> None:
        box = f'x="{self.x(begin):.1f}" y="{TOP}" width="{self.x(end) - self.x(begin):.1f}"'
        height = HEIGHT - TOP - BOTTOM
        self.parts.insert(0, f'<rect {box} height="{height}" fill="{colour}" opacity="0.18"/>')

    def says(self, colour: str, text: str) -> None:
        self.legend.append((colour, text))

    def svg(self) -> str:
        """Return the whole picture."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        text = f'font-size="10" fill="{INK}"'
        out = [f'{head} font-size="11"><rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
        out.append(f'<text x="{LEFT}" y="15" fill="{INK}" font-weight="600">{self.title}</text>')
        frame = f"M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - 12}"
        out += self.parts
        out.append(f'<path d="{frame}" fill="none" stroke="{INK}" stroke-width="0.8"/>')
        for value in self.across:
            out.append(f'<text x="{self.x(value):.0f}" y="{HEIGHT - 20}" {text} text-anchor="middle">{value:g}</text>')
        for value in self.up:
            out.append(f'<text x="{LEFT - 5}" y="{self.y(value) + 4:.0f}" {text} text-anchor="end">{value:g}</text>')
        out.append(f'<text x="{WIDTH - 12}" y="{HEIGHT - 6}" {text} text-anchor="end">{self.across_is}</text>')
        out.append(f'<text x="{LEFT - 46}" y="{HEIGHT - 6}" {text}>{self.up_is}</text>')
        for number, (colour, said) in enumerate(self.legend):
            at = WIDTH - 16, TOP + 12 + 14 * number
            out.append(f'<text x="{at[0]}" y="{at[1]}" font-size="10" fill="{colour}" text-anchor="end">{said}</text>')
        return "\n".join([*out, "</svg>"]) + "\n"


class Faulty:
    """The expert, and what a fault makes of what it asks."""

    def __init__(self, expert: Any, fault: Fault) -> None:
        self._expert, self._fault, self._step = expert, fault, 0

    def act(self, values: Any) -> Any:
        """Return what to ask for next."""
        self._step += 1
        return self._fault(self._step - 1, values, self._expert.act(values))


def clean(_step: int, _values: Any, asked: Any) -> Any:
    """Change nothing."""
    return asked


def pausing(step: int, _values: Any, asked: Any) -> Any:
    """Stop on the way for two seconds."""
    return replace(asked, twist=asked.twist * 0.0) if 16 <= step < 56 else asked


def aside(step: int, _values: Any, asked: Any) -> Any:
    """Go to the side for a second."""
    pushed = np.array((0.0, -0.25, 0.06, 0.0, 0.0, 0.0))
    return replace(asked, twist=asked.twist * 0.2 + pushed) if 10 <= step < 30 else asked


def shaking(step: int, _values: Any, asked: Any) -> Any:
    """Shake."""
    waves = np.sin(2.0 * np.pi * np.array((2.1, 2.7, 1.7)) * 0.05 * step + np.arange(3.0))
    return replace(asked, twist=asked.twist + np.concatenate([0.08 * waves, np.zeros(3)]))


def hasty(_step: int, _values: Any, asked: Any) -> Any:
    """Ask for five times what the arm can do."""
    return replace(asked, twist=asked.twist * 5.0)


class Dropping:
    """Open the gripper half way up, once."""

    def __init__(self) -> None:
        self._left = 14

    def __call__(self, _step: int, values: Any, asked: Any) -> Any:
        """Return what is asked."""
        if self._left == 14 and values["cube_pose"][2] < 0.075:
            return asked
        self._left -= 1
        return replace(asked, gripper=np.ones(1), twist=asked.twist * 0.0) if self._left > 0 else asked


def slow(times: float) -> Fault:
    """Drive so many times slower."""
    return lambda _step, _values, asked: replace(asked, twist=asked.twist / times)


def measured(world: Any, fault: Fault) -> Any:
    """Return what version 3 finds in a lift with a fault."""
    from rewards.score.references.driving import driven
    from rewards.score.references.store import reference_set
    from rewards.score.teaching.rules import REFERENCE_SET, look

    facts = driven(world, Faulty(world.task.expert(world.description), fault), SEED, after=20)
    return look(facts, reference_set(REFERENCE_SET, facts.task, facts.task_version))


def seconds(found: Any) -> Array:
    """Return the time of each sample."""
    return np.arange(found.course.samples) / 20.0


def bands(picture: Picture, mask: NDArray[np.bool_], colour: str) -> None:
    """Mark where something was so."""
    from rewards.score.series import runs

    for first, last in runs(mask):
        picture.band(first / 20.0, (last + 1) / 20.0, colour)


def of_path(lifts: dict[str, Any]) -> Picture:
    """Draw the hand's way from above, and where it was farther from all others' than they are from each other."""
    one, other = lifts["clean"], lifts["aside"]
    picture = Picture("object_path: the way, seen from above", (0.3, 0.6), (-0.32, 0.12), "x, m", "y, m")
    for found, colour in ((one, GREEN), (other, GREY)):
        hand = found.course.hands[0]
        picture.line(hand[:, 0], hand[:, 1], colour)
    odd = other.picks.at[other.way.excess > 0.0]
    picture.dots(other.course.hands[0][odd, 0], other.course.hands[0][odd, 1], RED)
    cube = one.course.things["cube"][0]
    picture.dots([cube[0]], [cube[1]], AMBER, 6.0)
    picture.says(GREEN, f"clean: {one.way.part:.2f}")
    picture.says(GREY, f"a detour: {other.way.part:.2f}")
    picture.says(RED, "picked samples that no accepted drive is near")
    picture.says(AMBER, "the cube")
    return picture


def of_order(found: Any) -> Picture:
    """Draw the cube's height, and the mistake and its recovery."""
    picture = Picture("order: the cube's height", (0.0, float(seconds(found)[-1])), (0.0, 0.2), "s", "m")
    picture.line(seconds(found), found.course.things["cube"][:, 2], INK)
    bands(picture, found.wrong, RED)
    bands(picture, found.mended, GREEN)
    picture.says(RED, f"mistake: order is {found.order:.2f}")
    picture.says(GREEN, "recovery: never a cost")
    return picture


def of_pace(lifts: dict[str, Any]) -> Picture:
    """Draw how long the first stage took, against the reference drives."""
    reference = lifts["clean"].reference
    taken = np.sort(reference.moving_s[:, 0])
    usual = lifts["clean"].pace.usual_s[0]
    picture = Picture("pace: time in motion until the cube is reached", (0.0, 5.0 * usual), (0.0, 1.0), "s", "share")
    at = np.array([0.0, usual, 3.0 * usual, 5.0 * usual])
    picture.line(at, [1.0, 1.0, 0.0, 0.0], BLUE)
    picture.dots(taken, np.linspace(0.02, 0.98, len(taken)), GREY, 1.8)
    for name, colour in (("clean", GREEN), ("half", AMBER), ("eighth", RED)):
        took = lifts[name].pace.moving_s[0]
        good = min(max((3.0 - took / usual) / 2.0, 0.0), 1.0)
        picture.dots([min(took, 5.0 * usual)], [good], colour, 5.0)
        picture.says(colour, f"{name}: {took:.1f} s, the part is {lifts[name].pace.part:.2f}")
    picture.says(GREY, "reference drives, in order")
    return picture


def of_flow(found: Any) -> Picture:
    """Draw the hand's speed, and where nothing got anywhere."""
    picture = Picture("flow: the hand's speed", (0.0, float(seconds(found)[-1])), (0.0, 0.35), "s", "m/s")
    picture.line(seconds(found), np.minimum(found.course.hand_speed_m_s, 0.35), INK)
    bands(picture, found.course.still & found.ordinary, RED)
    bands(picture, ~found.course.active, GREY)
    picture.says(RED, f"pauses: flow is {found.flow.part:.2f}")
    picture.says(GREY, "before the first motion and after the end: free")
    return picture


def of_control(found: Any) -> Picture:
    """Draw where limits cut what was asked."""
    picture = Picture("control: the hand's speed", (0.0, float(seconds(found)[-1])), (0.0, 0.35), "s", "m/s")
    picture.line(seconds(found), np.minimum(found.course.hand_speed_m_s, 0.35), INK)
    bands(picture, found.course.strained & found.ordinary, RED)
    picture.says(RED, f"a limit cut what was asked: control is {found.control.part:.2f}")
    return picture


def of_information(lifts: dict[str, Any]) -> Picture:
    """Draw the directions in which hands went, by height, of accepted drives, a clean one and one that shakes."""
    reference = lifts["clean"].reference
    above, up = (reference.features.index(name) for name in ("above_m_0", "up_0"))
    whole = reference.points[reference.stage == 0].astype(float) / 16.0 * reference.scale + reference.centre
    picture = Picture("mutual_information: is the action what the state says?", (0.0, 0.4), (-1.1, 1.1), "m", "up")
    picture.dots(whole[::12, above], whole[::12, up], GREY, 1.2)
    from rewards.score.teaching.holds import holds_of
    from rewards.score.teaching.states import states_of

    for name, colour in (("clean", GREEN), ("shaking", RED)):
        found = lifts[name]
        first = found.picks.at[found.picks.stage == 0]
        values = states_of(found.course, holds_of(found.course), first).values
        picture.dots(values[:, above], values[:, up], colour, 2.2)
        picture.says(colour, f"{name}: {found.information:.1f} spreads")
    picture.says(GREY, "accepted drives: height above the cube, and how much the hand rises")
    return picture


def of_smoothness(lifts: dict[str, Any]) -> Picture:
    """Draw two speeds, with SPARC and path efficiency, which are only shown."""
    from rewards.score.teaching.rules import shown_of

    both = [lifts["clean"], lifts["shaking"]]
    end = max(float(seconds(found)[-1]) for found in both)
    picture = Picture("smoothness and path_efficiency: shown, and not paid", (0.0, end), (0.0, 0.45), "s", "m/s")
    for found, colour, name in zip(both, (GREEN, RED), ("clean", "shaking"), strict=True):
        picture.line(seconds(found), np.minimum(found.course.hand_speed_m_s, 0.45), colour)
        shown = shown_of(found)
        picture.says(colour, f"{name}: SPARC {shown['smoothness']:.1f}, efficiency {shown['path_efficiency']:.2f}")
    return picture


def pictures() -> dict[str, Picture]:
    """Return every picture by the name of its file."""
    from sim.catalogue import make_world

    world = make_world("panda", "lift")
    world.connect()
    faults: dict[str, Fault] = {"clean": clean, "aside": aside, "dropping": Dropping(), "pausing": pausing}
    faults |= {"shaking": shaking, "hasty": hasty, "half": slow(2.0), "eighth": slow(8.0)}
    try:
        lifts = {name: measured(world, fault) for name, fault in faults.items()}
    finally:
        world.disconnect()
    return {
        "object_path": of_path(lifts),
        "order": of_order(lifts["dropping"]),
        "pace": of_pace(lifts),
        "flow": of_flow(lifts["pausing"]),
        "control": of_control(lifts["hasty"]),
        "mutual_information": of_information(lifts),
        "smoothness": of_smoothness(lifts),
    }


def main(words: Sequence[str]) -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="the folder of the pictures")
    folder = parser.parse_args(words).to
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures().items():
        (folder / f"{name}.svg").write_text(picture.svg())


if __name__ == "__main__":
    main(sys.argv[1:])
