"""What a demonstrator says that it did is what happened in the physics, at those steps."""

from __future__ import annotations

import numpy as np
import pytest

from sim.demonstrators.defects import Kind
from tests.sim.demonstrators.conftest import Drive, Driven

ON_FLOOR_M = 0.03
"""A cube's centre is below this if it lies on the floor."""


def height_m(one: Driven, name: str) -> np.ndarray:
    """The height of a thing's centre at each step."""
    return one.values[f"{name}_pose"][:, 2]


def speed_m_s(one: Driven) -> np.ndarray:
    """How fast the hand moves in each step."""
    return np.linalg.norm(np.diff(one.values["ee_pose"][:, :3], axis=0), axis=1) * 20.0


@pytest.mark.parametrize(("name", "cube"), [("lift", "cube"), ("stack", "red")])
def test_a_dropped_cube_falls_to_the_floor_and_is_in_the_air_again_when_that_is_over(
    drive: Drive, name: str, cube: str
) -> None:
    one = drive(name, Kind.DROP_AND_REGRASP)
    event, high = one.only(Kind.DROP_AND_REGRASP), height_m(one, cube)
    assert event.turn is not None
    assert high[event.start] > 0.05
    assert high[event.turn] < ON_FLOOR_M
    assert high[event.stop] > ON_FLOOR_M + 0.01
    assert one.values["gripper_position"][event.turn - 2 : event.turn].min() > 0.9, "it was let go of"


def test_an_early_release_over_its_place_lets_the_cube_fall_onto_it(drive: Drive) -> None:
    one = drive("stack", Kind.EARLY_RELEASE, 0.4)
    event, high = one.only(Kind.EARLY_RELEASE), height_m(one, "red")
    assert event.turn is None
    assert high[event.start] - high[event.stop] > 0.03
    assert np.ptp(one.values["ee_pose"][event.start + 6 : event.stop, 2]) < 0.005, "the hand went down with it"


@pytest.mark.parametrize(("name", "cube"), [("lift", "cube"), ("stack", "red")])
def test_a_strong_early_release_is_put_right(drive: Drive, name: str, cube: str) -> None:
    one = drive(name, Kind.EARLY_RELEASE)
    event, high = one.only(Kind.EARLY_RELEASE), height_m(one, cube)
    assert event.turn is not None
    assert event.start < event.turn < event.stop < one.steps
    assert high[event.start] > 0.07
    assert high[event.turn] < ON_FLOOR_M
    assert high[event.stop] > 0.08


def test_the_wrong_object_is_lifted_and_put_back_before_the_right_one_is_touched(drive: Drive) -> None:
    one = drive("stack", Kind.WRONG_OBJECT)
    event, green = one.only(Kind.WRONG_OBJECT), one.values["green_pose"][:, :3]
    assert event.turn is not None
    assert (event.start, green[event.turn, 2] > green[0, 2] + 0.08) == (0, True)
    assert np.linalg.norm(green[event.stop] - green[0]) < 0.02
    moved = np.linalg.norm(one.values["red_pose"][: event.stop, :3] - one.values["red_pose"][0, :3], axis=1)
    assert moved.max() < 0.005


@pytest.mark.parametrize(("name", "cube"), [("lift", "cube"), ("stack", "red")])
def test_in_a_near_failure_the_cube_slips_and_stays_in_the_hand(drive: Drive, name: str, cube: str) -> None:
    one = drive(name, Kind.NEAR_FAILURE)
    event, high = one.only(Kind.NEAR_FAILURE), height_m(one, cube)
    inside = high - one.values["ee_pose"][:, 2]
    assert inside[event.start] - inside[event.stop] > 0.003
    assert high[event.start : event.stop].min() > ON_FLOOR_M


def test_a_hesitation_is_a_standstill(drive: Drive) -> None:
    one = drive("lift", Kind.HESITATION, skill=1.0)
    assert len(one.events) == 3
    for event in one.events:
        assert event.kind is Kind.HESITATION
        assert event.stop - event.start > 40
        assert speed_m_s(one)[event.start + 8 : event.stop].max() < 0.01


def test_a_stronger_hesitation_is_longer(drive: Drive) -> None:
    waits = [
        sum(event.stop - event.start for event in drive("lift", Kind.HESITATION, strength).events)
        for strength in (0.1, 0.4, 1.0)
    ]
    assert waits == sorted(set(waits))


def test_a_detour_goes_where_the_clean_drive_does_not(drive: Drive) -> None:
    clean, one = drive("lift", skill=1.0), drive("lift", Kind.DETOUR, skill=1.0)
    event, way = one.only(Kind.DETOUR), clean.values["ee_pose"][:, :3]
    far = np.linalg.norm(one.values["ee_pose"][event.stop, :3] - way, axis=1).min()
    assert far > 0.1
    assert one.path_m() > clean.path_m() + 2 * 0.9 * far


def test_noise_shakes_the_hand_from_the_first_step_to_the_last(drive: Drive) -> None:
    drives = [drive("lift", Kind.NOISE, strength, skill=1.0) for strength in (0.2, 0.6, 1.0)]
    shakes = [float(np.abs(np.diff(one.twists[:, :3], n=2, axis=0)).mean()) for one in drives]
    assert shakes == sorted(set(shakes))
    assert [(event.start, event.stop) for event in drives[1].events] == [(0, drives[1].steps)]


def test_slow_is_down_to_an_eighth_of_the_speed(drive: Drive) -> None:
    clean, one = drive("lift", skill=1.0), drive("lift", Kind.SLOW, skill=1.0)
    fastest = [np.linalg.norm(each.twists[:, :3], axis=1).max() for each in (clean, one)]
    assert fastest[1] == pytest.approx(fastest[0] / 8.0)
    assert one.steps > 4 * clean.steps
    assert [(event.start, event.stop) for event in one.events] == [(0, one.steps)]
