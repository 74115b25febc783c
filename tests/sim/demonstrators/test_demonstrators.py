"""Demonstrators: the expert at full skill, worse with less, the same from the same seed, and honest of defects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from sim.catalogue import task
from sim.demonstrators.defects import Defect, DefectError, Kind
from sim.demonstrators.demonstrator import Demonstrator, demonstrator
from sim.demonstrators.skill import PERIOD_S, Shaking
from sim.draws import Draws
from sim.motion.limits import EE_ROTATION_MAX_RAD_S, EE_SPEED_MAX_M_S
from sim.physics.world import World
from tests.sim.demonstrators.conftest import Drive, Driven, driven

PAIRS = [(name, kind) for name in ("lift", "stack") for kind in Kind if (name, kind) != ("lift", Kind.WRONG_OBJECT)]


def made(worlds: Mapping[str, World], name: str, *defects: Defect, skill: float = 0.9, seed: int = 3) -> Demonstrator:
    """Return a demonstrator of a Panda."""
    return demonstrator(worlds[name].task, worlds[name].description, skill=skill, defects=defects, seed=seed)


def asked(one: Demonstrator, drive: Driven) -> np.ndarray:
    """Return what a demonstrator asks for on the observations of a drive, (N, 7)."""
    rows = ({name: array[step] for name, array in drive.values.items()} for step in range(drive.steps))
    return np.array([[*twist.twist[0], *twist.gripper] for twist in map(one.act, rows)])


@pytest.mark.parametrize("name", ["lift", "stack"])
def test_with_full_skill_and_no_defect_it_asks_for_exactly_what_the_expert_does(
    worlds: Mapping[str, World], name: str
) -> None:
    world = worlds[name]
    expert = driven(world, world.task.expert(world.description), seed=5)
    assert expert.success
    own = asked(made(worlds, name, skill=1.0), expert)
    assert np.array_equal(own, np.column_stack([expert.twists, expert.openings]))


def test_the_same_seed_asks_for_the_same_on_the_same_observations(worlds: Mapping[str, World], drive: Drive) -> None:
    seen = drive("stack", Kind.DROP_AND_REGRASP)
    everything = [Defect(kind, 0.7) for kind in Kind]
    first, again = made(worlds, "stack", *everything, skill=0.5), made(worlds, "stack", *everything, skill=0.5)
    assert np.array_equal(asked(first, seen), asked(again, seen))
    assert first.events == again.events
    other = made(worlds, "stack", *everything, skill=0.5, seed=4)
    assert not np.array_equal(asked(other, seen), asked(made(worlds, "stack", *everything, skill=0.5), seen))


def test_one_defect_does_not_change_how_another_happens(worlds: Mapping[str, World], drive: Drive) -> None:
    seen = drive("lift")
    noisy = asked(made(worlds, "lift", Defect(Kind.NOISE), skill=1.0), seen)
    both = asked(made(worlds, "lift", Defect(Kind.NOISE), Defect(Kind.EARLY_RELEASE), skill=1.0), seen)
    assert np.array_equal(noisy[:40], both[:40])


@pytest.mark.parametrize(("name", "seed"), [("lift", 3), ("lift", 4), ("stack", 3)])
def test_less_skill_takes_longer_and_goes_farther(drive: Drive, name: str, seed: int) -> None:
    drives = [drive(name, skill=skill, seed=seed) for skill in (1.0, 0.75, 0.5, 0.25)]
    assert all(one.success for one in drives)
    steps, paths = [one.steps for one in drives], [one.path_m() for one in drives]
    assert steps == sorted(steps), f"durations {steps} do not grow as skill falls"
    assert paths == sorted(paths), f"paths {paths} do not grow as skill falls"
    assert steps[-1] > 1.5 * steps[0]


def test_shaking_is_as_strong_as_it_says_and_within_its_band() -> None:
    shaking = Shaking(Draws(1), 0.05, (1.0, 4.0))
    moves = np.array([shaking.at(step)[:3] for step in range(4000)])
    assert np.sqrt((moves**2).mean(axis=0)) == pytest.approx([0.05] * 3, rel=0.1)
    power = (np.abs(np.fft.rfft(moves, axis=0)) ** 2).sum(axis=1)
    hz = np.fft.rfftfreq(len(moves), PERIOD_S)
    assert power[(hz > 0.9) & (hz < 4.1)].sum() > 0.98 * power.sum()


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_every_defect_happens_at_each_strength_and_still_ends_in_success(drive: Drive, name: str, kind: Kind) -> None:
    for seed, strength in ((1, 0.3), (3, 1.0)):
        one = drive(name, kind, strength, seed=seed)
        assert one.success, f"{kind} of {strength} from seed {seed} did not end in success"
        assert kind in {event.kind for event in one.events}
        assert all(0 <= event.start < event.stop <= one.steps for event in one.events)


def test_a_clean_drive_has_no_events(drive: Drive) -> None:
    assert drive("lift", skill=0.4).events == ()


def test_nothing_is_asked_for_that_a_hand_may_not_do(drive: Drive) -> None:
    twists = drive("stack", Kind.NOISE).twists
    assert np.linalg.norm(twists[:, :3], axis=1).max() <= EE_SPEED_MAX_M_S * (1.0 + 1e-12)
    assert np.linalg.norm(twists[:, 3:], axis=1).max() <= EE_ROTATION_MAX_RAD_S * (1.0 + 1e-12)


@pytest.mark.parametrize("kind", [Kind.DROP_AND_REGRASP, Kind.EARLY_RELEASE, Kind.NEAR_FAILURE])
def test_what_does_not_happen_is_not_written_down(worlds: Mapping[str, World], drive: Drive, kind: Kind) -> None:
    clean = drive("lift", skill=1.0)
    one = made(worlds, "lift", Defect(kind), skill=1.0)
    opened = asked(one, clean)[:, 6]  # whatever it asks for, the cube that it sees stays in the hand
    assert opened[40:].max() > 0.3, "it never tried"
    assert one.events == ()


def test_events_are_of_what_was_done_until_now(worlds: Mapping[str, World], drive: Drive) -> None:
    whole = drive("lift", Kind.DROP_AND_REGRASP).only(Kind.DROP_AND_REGRASP)
    assert whole.turn is not None
    for most, expected in ((whole.start, ()), (whole.turn - 1, (None, whole.turn - 1)), (whole.stop + 1, whole)):
        one = made(worlds, "lift", Defect(Kind.DROP_AND_REGRASP))
        found = driven(worlds["lift"], one, 3, most).events
        if expected and isinstance(expected, tuple):
            assert [(event.turn, event.stop) for event in found] == [expected]
        else:
            assert found == ((expected,) if expected else ())


def test_what_cannot_be_is_refused_by_name(worlds: Mapping[str, World]) -> None:
    with pytest.raises(DefectError, match="no second thing to take at lift"):
        made(worlds, "lift", Defect(Kind.WRONG_OBJECT))
    with pytest.raises(DefectError, match="once"):
        made(worlds, "lift", Defect(Kind.SLOW, 0.2), Defect(Kind.SLOW, 0.3))
    for strength in (0.0, 1.01, float("nan")):
        with pytest.raises(DefectError, match="strength"):
            Defect(Kind.NOISE, strength)
    for skill in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="skill"):
            made(worlds, "lift", skill=skill)


def test_the_wrong_object_is_one_that_can_be_taken(worlds: Mapping[str, World]) -> None:
    world = worlds["stack"]
    with pytest.raises(DefectError, match="pick_place"):
        demonstrator(task("pick_place"), world.description, defects=(Defect(Kind.WRONG_OBJECT),))
    demonstrator(task("sort"), world.description, defects=(Defect(Kind.WRONG_OBJECT),))
