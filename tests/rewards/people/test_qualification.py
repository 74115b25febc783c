"""Promises of the first drive: what its checks measure, that practice is never paid, and who is qualified by what."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from recorder.file.episode import read_episode
from recorder.hub.states import EpisodeState
from rewards.hub import paying
from rewards.hub.verdicts import Verdict
from rewards.ledger import ledger
from rewards.people.operators import Operator
from rewards.people.qualification import (
    DURATION_S,
    LIMITED_MAX,
    MOVED_M,
    REST_S,
    Practice,
    appraise,
    check,
    longest_rest_s,
    passed,
    practice_of,
    reopenings,
)
from rewards.score.score import recompute
from rewards.score.versions import SECOND
from teleop.wire.messages import Safety
from tests.recorder.factory import fake_episode
from tests.rewards.drives import HZ, facts_along, write_episode
from tests.rewards.other_rules import OtherRules
from tests.rewards.world import ADA, BOB, PRICE_WEI, DictVault, World, make_world

WAIT_S = 20.0


def path_to(*points: tuple[float, float, float], steps: int = 40) -> np.ndarray:
    """Return the straight path through points, (N+1, 3) m, `steps` steps each."""
    parts = [np.array([points[0]])] + [np.linspace(a, b, steps + 1)[1:] for a, b in pairwise(points)]
    return np.concatenate(parts)


def first_drive(reach_m: float = 2 * MOVED_M, **changes: object) -> Practice:
    """Return a drive that shows everything: each axis, the gripper, a rest; and no more than that."""
    position = path_to((0, 0, 0), (reach_m, 0, 0), (reach_m, reach_m, 0), (reach_m, reach_m, reach_m))
    gripper = np.ones(len(position))
    gripper[20:40] = 0.0
    safety = np.full(len(position) - 1, Safety.DRIVING, np.uint8)
    safety[50:70] = Safety.HOLDING
    return replace(Practice(facts_along(position, gripper), safety, True), **changes)


def along(practice: Practice, **changes: object) -> Practice:
    """Return it with other facts."""
    return replace(practice, facts=replace(practice.facts, **changes))


def failed(practice: Practice) -> set[str]:
    return {one.name for one in check(practice) if not one.passed}


def test_a_drive_that_shows_everything_passes_and_says_what_was_measured() -> None:
    checks = check(first_drive())
    assert passed(checks)
    assert [one.name for one in checks] == ["move_x", "move_y", "move_z", "gripper", "let_go", "limits", "duration"]
    assert [one.measured for one in checks] == [0.1, 0.1, 0.1, 1.0, 1.0, 0.0, 6.0]
    assert checks[1].sentence == "The hand moved 10.0 cm left and right."
    assert checks[4].sentence == "You let go for 1.0 s and then drove on."


def test_a_drive_that_shows_nothing_is_told_what_is_needed() -> None:
    still = Practice(facts_along(np.zeros((21, 3))), np.full(20, Safety.DRIVING, np.uint8), True)
    assert [one.sentence for one in check(along(still, limited=np.ones(20, bool)))] == [
        "The hand moved 0.0 cm away and back; at least 5 cm are needed.",
        "The hand moved 0.0 cm left and right; at least 5 cm are needed.",
        "The hand moved 0.0 cm up and down; at least 5 cm are needed.",
        "The gripper was not closed and opened again; that is needed once.",
        "You let go for 0.0 s and then drove on; at least 0.5 s are needed.",
        "100 % of your commands exceeded a safety limit and were reduced; at most 25 % may be.",
        "The drive took 1.0 s; at least 5 s are needed.",
    ]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_hand_that_stays_short_along_one_axis_fails_that_axis_alone(axis: int) -> None:
    good = first_drive()
    for share, missing in ((0.49, {f"move_{'xyz'[axis]}"}), (0.51, set())):
        position = good.facts.ee_position_m.copy()
        position[:, axis] *= share
        assert failed(along(good, ee_position_m=position)) == missing


@given(some.lists(some.floats(-1, 1), min_size=2, max_size=20), some.floats(-1, 1))
def test_what_an_axis_measures_is_its_span_wherever_the_hand_is(xs: list[float], shift: float) -> None:
    position = np.column_stack([xs, np.zeros(len(xs)), np.zeros(len(xs))]) + shift
    found = check(Practice(facts_along(position), np.zeros(len(xs) - 1, np.uint8), False))[0]
    assert found.measured == pytest.approx(max(xs) - min(xs), abs=1e-4)
    assert found.passed == (float(np.ptp(position[:, 0])) >= MOVED_M)


def test_of_two_hands_either_may_show_an_axis() -> None:
    good = first_drive()
    still = np.zeros_like(good.facts.ee_position_m)
    for hands in ((good.facts.ee_position_m, still), (still, good.facts.ee_position_m)):
        gripper = np.hstack([good.facts.gripper, np.ones_like(good.facts.gripper)])
        both = along(good, ee_position_m=np.hstack(hands), gripper=gripper, applied_gripper=gripper[1:])
        assert failed(both) == set()


@pytest.mark.parametrize(
    ("openings", "times"),
    [
        ([1, 1], 0),
        ([1, 0], 0),
        ([0, 1], 0),
        ([1, 0, 1], 1),
        ([0, 1, 0], 0),
        ([0, 1, 0, 1, 0, 1], 2),
        ([1, 0.5, 1], 0),
        ([1, 0.41, 1], 0),
        ([1, 0.39, 0.59], 0),
        ([1, 0.39, 0.61], 1),
        ([0.5, 0.3, 0.7], 1),
        ([1, 0.3, 0.5, 0.3, 1], 1),
    ],
)
def test_a_gripper_counts_once_closed_and_then_opened_again(openings: list[float], times: int) -> None:
    assert reopenings(np.array(openings, dtype=float)) == times


def test_a_robot_without_a_gripper_is_not_asked_for_one() -> None:
    good = first_drive()
    unmoved = along(good, applied_gripper=np.ones_like(good.facts.applied_gripper))
    assert failed(unmoved) == {"gripper"}
    assert failed(replace(unmoved, grips=False)) == set()


@pytest.mark.parametrize(
    ("states", "rest_s"),
    [
        ("", 0.0),
        ("DDD", 0.0),
        ("DHHD", 2.0),
        ("DHH", 0.0),
        ("HHD", 0.0),
        ("DHDHHHD", 3.0),
        ("DHAHD", 3.0),
        ("DEED", 0.0),
        ("DEAD", 1.0),
        ("DHEHHD", 2.0),
        ("DSSD", 0.0),
    ],
)
def test_a_rest_is_a_released_dead_man_between_two_driven_steps(states: str, rest_s: float) -> None:
    names = {"D": "DRIVING", "H": "HOLDING", "A": "ARMED", "E": "EXPIRED", "S": "ESTOPPED"}
    safety = np.array([Safety[names[one]] for one in states], np.uint8)
    assert longest_rest_s(np.arange(len(states) + 1.0), safety) == rest_s


@given(some.lists(some.sampled_from(list(Safety)), max_size=40))
def test_no_rest_is_longer_than_the_time_that_the_dead_man_was_released(states: list[Safety]) -> None:
    released = sum(state in (Safety.HOLDING, Safety.ARMED) for state in states)
    assert 0.0 <= longest_rest_s(np.arange(len(states) + 1.0), np.array(states, np.uint8)) <= released


def test_each_threshold_is_where_it_is_said_to_be() -> None:
    good = first_drive()
    rest = round(REST_S * HZ)
    short = np.full_like(good.safety, Safety.DRIVING)
    short[50 : 50 + rest - 1] = Safety.HOLDING
    assert failed(replace(good, safety=short)) == {"let_go"}
    short[50 + rest - 1] = Safety.HOLDING
    assert failed(replace(good, safety=short)) == set()
    limited = np.arange(good.facts.steps) < LIMITED_MAX * good.facts.steps
    assert failed(along(good, limited=limited)) == set()
    limited[-1] = True
    assert failed(along(good, limited=limited)) == {"limits"}
    hurried = good.facts.t_s * (DURATION_S / good.facts.t_s[-1])
    assert failed(along(good, t_s=hurried)) == set()
    assert failed(along(good, t_s=hurried * 0.99)) == {"duration"}


@pytest.mark.parametrize(
    "change",
    [{"valid": False, "end_reason": "left"}, {"ee_position_m": np.full((121, 3), np.nan)}, {"t_s": np.zeros(121)}],
)
def test_what_does_not_count_or_cannot_be_measured_never_qualifies(change: dict) -> None:
    [only] = check(along(first_drive(), **change))
    assert (only.name, only.passed) == ("recording", False)
    assert only.sentence.endswith(".")


def test_success_at_the_task_is_not_needed() -> None:
    assert failed(along(first_drive(), success=False)) == set()


def test_the_published_thresholds_are_the_ones_that_hold() -> None:
    rules = (Path(__file__).parents[3] / "docs" / "scoring.md").read_text()
    for name, needed in (
        ("`move_x`, `move_y`, `move_z`", f"{MOVED_M * 100:.0f} cm each"),
        ("`let_go`", f"{REST_S} s"),
        ("`limits`", f"at most {LIMITED_MAX * 100:.0f} %"),
        ("`duration`", f"{DURATION_S:.0f} s"),
    ):
        [row] = [line for line in rules.splitlines() if line.startswith(f"| {name} |")]
        assert row.endswith(f"| {needed} |")


def recorded_first_drive(
    folder: Path, episode: str, *, moves: bool = True, rests: bool = True, steps: int = 120, **drive: object
) -> Path:
    """Record a drive of the fake arm that shows everything, or all but one part, as a host does."""
    start, steps, end = fake_episode(steps=steps, episode=episode, **drive)
    for index in range(len(steps)):
        gone = 0.1 * moves * np.array([index > 20, index > 40, index > 60, 0, 0, 0, 0])
        place = np.array([0.3, 0.0, 0.2, 0, 0, 0, 1]) + gone
        seen = replace(steps[index].observed, values={**steps[index].observed.values, "ee_pose": place})
        applied = replace(steps[index].applied, gripper=np.array([0.0 if 70 < index < 90 else 1.0]))
        safety = Safety.HOLDING if rests and 30 <= index < 45 else Safety.DRIVING
        steps[index] = replace(steps[index], observed=seen, applied=applied, safety=safety, limits=())
    return write_episode(folder, start, steps, end)


def test_the_checks_are_of_what_the_file_holds(tmp_path: Path) -> None:
    file = recorded_first_drive(tmp_path, "e1")
    score, checks = appraise(file)
    assert score == recompute(file)
    assert checks == check(practice_of(read_episode(file)))
    assert {one.name: one.passed for one in checks} == dict.fromkeys([one.name for one in checks], True)
    assert {one.name: one.measured for one in checks}["let_go"] == pytest.approx(0.75, abs=0.01)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A hub that asks for a first drive, and whose lift pool is full."""
    made = make_world(tmp_path, DictVault())
    made.qualification = True
    made.pipeline().fund("lift", 100 * PRICE_WEI, "first")
    yield made
    made.database.kw["bind"].dispose()


def practised(world: World, episode: str, **shows: object) -> str:
    """Put a drive of Ada's that shows everything, or what is said, and fails the task, among the verified ones."""
    file = recorded_first_drive(world.folder / "recorded", episode, success=False, **shows)
    world.store.adopt(episode, "episode.h5", file)
    return world.listed(episode, EpisodeState.VERIFIED)


def told(world: World, *episodes: str, at_ms: int = 1) -> list[Verdict]:
    """Run a pipeline until `episodes` are scored, one after the other."""

    async def run() -> list[Verdict]:
        async with world.pipeline(clock_ms=lambda: at_ms) as running:
            found = []
            for episode in episodes:
                running.submit(episode)
                found.append(await running.verdict(episode, WAIT_S))
            return found

    return asyncio.run(run())


def operator(world: World, address: str = ADA) -> Operator:
    return asyncio.run(world.pipeline().operator(address))


def earned(world: World, address: str = ADA) -> int:
    with world.database() as db:
        ledger.audit(db)
        return ledger.balance(db, ledger.operator(address))


def test_before_the_first_drive_has_passed_nothing_is_paid_and_after_it_everything(world: World) -> None:
    [lifted] = told(world, world.verified("e1"))
    assert lifted.accepted
    assert (lifted.pay_wei, lifted.paid) == (0, False)
    assert lifted.practice is not None
    assert not passed(lifted.practice)
    before = operator(world)
    assert (before.qualified, before.since_ms, before.episode, before.checks) == (False, None, "e1", lifted.practice)

    [first] = told(world, practised(world, "e2"))
    assert first.practice is not None
    assert passed(first.practice)
    assert (first.pay_wei, first.paid, earned(world)) == (0, False, 0)
    after = operator(world)
    assert (after.qualified, after.since_ms, after.episode) == (True, 1, "e2")

    [paid] = told(world, world.verified("e3", seed=9))
    assert paid.practice is None
    assert paid.paid
    assert paid.pay_wei == earned(world) > 0


def test_what_a_practice_drive_has_shown_later_ones_need_not_show_again(world: World) -> None:
    [moved] = told(world, practised(world, "e1", rests=False))
    assert not passed(moved.practice)
    assert operator(world).shown == ("move_x", "move_y", "move_z", "gripper")
    assert operator(world, BOB).shown == ()
    short = told(world, practised(world, "e2", moves=False, steps=80))[0].practice
    named = {one.name: one for one in short}
    assert [name for name, one in named.items() if not one.passed] == ["duration"], "which each drive must show itself"
    assert named["move_z"].sentence == "The hand moved 0.0 cm up and down; an earlier drive has shown it."
    assert named["move_z"].measured == 0.0
    assert not operator(world).qualified
    [rested] = told(world, practised(world, "e3", moves=False))
    assert passed(rested.practice)
    assert not rested.paid
    assert operator(world).qualified


def test_what_is_told_of_an_operator_is_of_the_last_practice_drive(world: World) -> None:
    for at_ms, episode in ((5, "e2"), (7, "e1"), (6, "e3")):
        told(world, world.verified(episode, seed=at_ms), at_ms=at_ms)
    assert operator(world).episode == "e1"
    told(world, practised(world, "e0"), at_ms=9)
    assert (operator(world).episode, operator(world).since_ms) == ("e0", 9)


def test_the_score_of_a_practice_drive_is_what_anyone_recomputes(world: World) -> None:
    [found] = told(world, world.verified("e1"))
    again = recompute(world.store.path("e1", "episode.h5"))
    assert (found.score_ppm, found.accepted, found.reasons) == (again.score_ppm, again.accepted, again.reasons)


def test_a_wallet_is_qualified_by_its_own_drives_only(world: World) -> None:
    told(world, practised(world, "e1"))
    assert operator(world).qualified
    assert operator(world, BOB) == Operator(False, None, None, (), ())
    [other] = told(world, world.verified("e2", operator=BOB))
    assert other.practice is not None
    assert earned(world, BOB) == 0


def test_practice_is_never_paid_later_neither_by_money_nor_by_new_rules(world: World) -> None:
    told(world, world.verified("e1"), practised(world, "e2"))
    world.pipeline().fund("lift", PRICE_WEI, "second")
    assert earned(world) == 0
    kinder = OtherRules({"8": 1_000_000, "9": 1_000_000})
    for asked, version in ((True, "8"), (False, "9")):
        world.qualification = asked
        for episode in ("e1", "e2"):
            assert asyncio.run(world.pipeline(**kinder.options).scoring.rescore(episode, version))
        again = told(world, "e1", "e2")
        assert [one.version for one in again] == [SECOND, SECOND]
        assert all(one.practice is not None and not one.paid for one in again)
        assert [one.versions[-1].version for one in again] == [version, version]
    assert earned(world) == 0


def test_where_no_first_drive_is_asked_for_the_first_episode_is_paid(world: World) -> None:
    world.qualification = False
    [found] = told(world, world.verified("e1"))
    assert found.practice is None
    assert found.paid
    assert operator(world) == Operator(True, None, None, (), ())


def test_a_crash_leaves_neither_score_nor_qualification(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    practised(world, "e1")

    def crash(*_: object) -> bool:
        raise RuntimeError("the power went")

    async def crashed() -> None:
        with pytest.raises(RuntimeError):
            await world.pipeline().scoring.score("e1")

    with monkeypatch.context() as broken:
        broken.setattr(paying, "_pay", crash)
        asyncio.run(crashed())
    assert not operator(world).qualified
    told(world, "e1")
    assert operator(world).qualified


def test_a_qualification_cannot_be_taken_away_or_rewritten(world: World) -> None:
    told(world, practised(world, "e1"))
    for statement in ("UPDATE practices SET passed = 0", "DELETE FROM practices"):
        with world.database() as db, pytest.raises(IntegrityError, match="append-only"):
            db.execute(text(statement))
