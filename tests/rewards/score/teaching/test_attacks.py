"""What a cheat would try, so that a part rises without the drive teaching more: none of it pays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from rewards.score.facts import EpisodeFacts
from rewards.score.score import score
from rewards.score.verdict import SegmentKind
from tests.rewards.score.teaching.lifts import (
    CUBE_M,
    HIGH_M,
    HZ,
    START_M,
    Lift,
    detoured_lift,
    dropped_lift,
    good_lift,
    paused_lift,
    slowed,
)

ABOVE_M = CUBE_M + np.array((0.0, 0.0, 0.1))


def ppm(facts: EpisodeFacts) -> int:
    return score(facts).score_ppm


def lost(facts: EpisodeFacts) -> int:
    """Return how much less it scores than a good drive."""
    return ppm(good_lift().facts()) - ppm(facts)


def ended(lift: Lift) -> EpisodeFacts:
    """Return the drive, from above the cube on without a fault."""
    return lift.to(ABOVE_M, 1.0).to(CUBE_M, 0.7).grasp().to(HIGH_M, 0.9).rest(0.6).facts()


def test_holding_still_at_the_end_adds_nothing():
    assert ppm(good_lift().rest(20.0).facts()) == ppm(good_lift().facts())


@pytest.mark.parametrize("speed_m_s", [0.004, 0.008, 0.02])
def test_creeping_for_a_while_costs_as_much_as_a_pause_or_as_slowness(speed_m_s):
    seconds = 4.0
    middle = 0.5 * (START_M + ABOVE_M)
    ahead = (ABOVE_M - middle) / np.linalg.norm(ABOVE_M - middle)
    creeping = Lift().to(middle, 0.8)
    for _ in range(round(seconds * HZ)):
        creeping._add(creeping.hand[-1] + ahead * speed_m_s / HZ, 1.0)
    assert lost(ended(creeping)) > 40_000
    if speed_m_s < 0.01:
        assert lost(ended(creeping)) > 0.95 * lost(paused_lift(seconds).facts())


def test_fluttering_the_gripper_does_not_hide_a_pause():
    paused, fluttering = paused_lift(4.0), paused_lift(4.0).facts()
    at = np.arange(fluttering.steps + 1) / HZ
    while_ = (at > 0.8) & (at < 4.8)
    opening = np.where(while_[:, np.newaxis], (0.7 + 0.3 * np.cos(9.0 * at))[:, np.newaxis], fluttering.gripper)
    found = replace(fluttering, gripper=opening, applied_gripper=opening[1:])
    assert lost(found) > 0.75 * lost(paused.facts())


def test_swinging_to_and_fro_does_not_hide_a_pause():
    middle = 0.5 * (START_M + ABOVE_M)
    swinging = Lift().to(middle, 0.8)
    for _ in range(4):
        swinging.to(middle + np.array((0.0, 0.03, 0.0)), 0.5).to(middle, 0.5)
    assert lost(ended(swinging)) > 0.7 * lost(paused_lift(4.0).facts())


def test_going_to_and_fro_on_the_good_way_does_not_thin_out_a_detour():
    thinned = Lift().to(START_M + np.array((-0.5, 1.0, 0.2)) * 0.2, 1.0).to(ABOVE_M, 1.5)
    for _ in range(3):
        thinned.to(ABOVE_M + np.array((0.0, 0.0, 0.1)), 0.6).to(ABOVE_M, 0.6)
    assert ppm(ended(thinned)) < ppm(detoured_lift(0.2).facts())


def test_a_drop_on_purpose_never_raises_a_score_whatever_is_hidden_behind_it():
    plain = ppm(good_lift().facts())
    for seconds in (0.0, 3.0, 30.0):
        assert ppm(dropped_lift(seconds).facts()) < plain - 50_000


def test_a_drop_buys_no_right_to_dawdle_for_ever():
    quick, long = ppm(dropped_lift(2.0).facts()), ppm(dropped_lift(30.0).facts())
    assert long < quick - 150_000


def test_many_drops_cost_the_more():
    lift = Lift().take()
    scores = []
    for _ in range(4):
        lift.to(CUBE_M + np.array((0.0, 0.0, 0.07)), 0.6).drop().to(CUBE_M, 0.7).grasp()
        scores.append(ppm(_copy(lift).to(HIGH_M, 0.9).rest(0.6).facts()))
    assert scores[0] > scores[1] > scores[2] >= scores[3]


def _copy(lift: Lift) -> Lift:
    rows = {name: list(getattr(lift, name)) for name in ("hand", "opening", "cube", "sent")}
    return Lift(**rows, closed=lift.closed, holds=lift.holds)


def test_nudging_a_thing_makes_no_recovery_to_be_left_alone_in():
    facts = good_lift().facts()
    cube = facts.poses["cube_pose"].copy()
    grasped = int(np.argmax(cube[:, 2] > CUBE_M[2] + 0.001))
    for shift, at in enumerate(range(5, grasped - 10, 12)):
        cube[at:grasped, 0] += 0.008 * (-1.0) ** shift
    found = score(replace(facts, poses={**facts.poses, "cube_pose": cube}))
    assert SegmentKind.RECOVERY not in [one.kind for one in found.segments]
    assert found.score_ppm <= ppm(facts)


def test_rushing_at_the_end_does_not_pay_for_dawdling_at_the_beginning():
    dawdled = Lift().to(ABOVE_M, 12.0).to(CUBE_M, 0.3).grasp().to(HIGH_M, 0.3).rest(0.6)
    even = Lift().to(ABOVE_M, 1.5).to(CUBE_M, 0.7).grasp().to(HIGH_M, 0.9).rest(0.6)
    assert ppm(dawdled.facts()) < ppm(even.facts()) - 100_000


def test_an_operator_cannot_reset_the_first_motion():
    """A twitch before a long wait makes the wait a pause; none at all makes it nothing."""
    waited = Lift().rest(5.0).take().to(HIGH_M, 0.9).rest(0.6).facts()
    twitched = Lift().to(START_M + np.array((0.0, 0.02, 0.0)), 0.3).rest(5.0).take().to(HIGH_M, 0.9).rest(0.6).facts()
    assert ppm(twitched) < ppm(waited)


def crept(lift: Lift, goal: Sequence[float], speed_m_s: float) -> Lift:
    """Go to a place in a straight line at one speed."""
    start, aim = lift.hand[-1], np.asarray(goal, dtype=float)
    steps = math.ceil(float(np.linalg.norm(aim - start)) / speed_m_s * HZ)
    for part in np.linspace(0.0, 1.0, steps + 1)[1:]:
        lift._add(start + part * (aim - start), lift.opening[-1])
    return lift


@pytest.mark.parametrize("speed_m_s", [0.002, 0.004, 0.009, 0.012])
def test_whoever_creeps_all_the_way_to_the_thing_is_slow_and_not_waiting_to_begin(speed_m_s):
    approached = crept(crept(Lift(), ABOVE_M, speed_m_s), CUBE_M, speed_m_s).grasp().to(HIGH_M, 0.9).rest(0.6).facts()
    found = score(approached)
    assert found.accepted
    assert found.score_ppm < 200_000
    assert found.costs[0].part == "pace"
    assert SegmentKind.SLOW in [one.kind for one in found.segments]


@pytest.mark.parametrize("speed_m_s", [0.002, 0.004, 0.009, 0.012])
def test_whoever_creeps_from_beginning_to_end_is_paid_next_to_nothing(speed_m_s):
    approached = crept(crept(Lift(), ABOVE_M, speed_m_s), CUBE_M, speed_m_s).grasp()
    assert ppm(crept(approached, HIGH_M, speed_m_s).rest(0.6).facts()) < 50_000
    assert ppm(slowed(good_lift().facts(), 48)) < 50_000


def test_a_detour_that_is_crept_is_seen():
    aside = START_M + np.array((-0.1, 0.2, 0.1))
    assert score(ended(crept(crept(Lift(), aside, 0.009), START_M, 0.009))).vector["object_path"] < 0.9


def test_a_hand_that_drifts_on_the_spot_still_waits():
    """A pause in which the hand goes to and fro by less than two centimetres is a pause."""
    drifting = Lift().to(0.5 * (START_M + ABOVE_M), 0.8)
    middle = drifting.hand[-1]
    for aside in (0.015, 0.0, 0.015, 0.0):
        crept(drifting, middle + np.array((0.0, aside, 0.0)), 0.009)
    found = score(ended(drifting))
    assert found.vector["flow"] < 0.1
    assert found.vector["pace"] > 0.95


def test_a_mistake_on_purpose_does_not_hide_that_somebody_is_slow():
    """Whoever goes slowly to a wrong thing first, and is slow ever after, has not shown a good pace on the way."""
    aside = np.array((0.35, -0.15, 0.05))
    pushed = Lift().to(aside, 10.0).to(aside + np.array((0.05, 0.0, 0.0)), 0.5)
    other = len(pushed.hand)
    lift = pushed.to(ABOVE_M, 2.5).to(CUBE_M, 2.0).grasp().to(HIGH_M, 20.0).rest(0.6)
    thing = np.hstack([np.array(lift.hand), np.tile((0.0, 0.0, 0.0, 1.0), (len(lift.hand), 1))])
    thing[: other - round(0.5 * HZ), :3], thing[other:, :3] = aside, aside + np.array((0.05, 0.0, 0.0))
    facts = lift.facts()
    poses = {**facts.poses, "other_pose": thing}
    found = score(replace(facts, poses=poses, movable=facts.movable | {"other_pose"}))
    assert SegmentKind.MISTAKE in [one.kind for one in found.segments]
    assert found.vector["order"] < 0.5
    assert found.vector["pace"] < 0.1
