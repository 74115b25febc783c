"""The lift task: placed from a seed, honest about success, and possible through the interface that people use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.catalogue import UnknownRobotError, UnknownTaskError, description, make_world, task
from sim.control import Controller
from sim.kinematics import Kinematics
from sim.robot import Action, UnstableWorldError
from sim.tasks.lift import PLACE_LOWER_M, PLACE_UPPER_M
from sim.world import World


@pytest.fixture(scope="module")
def world():
    world = make_world("panda", "lift")
    world.connect()
    yield world
    world.disconnect()


def drive(world: World, seed: int, steps: int = 200) -> list[bool]:
    """Let the expert drive as a person would; return `success` of each step."""
    controller = Controller(world.spec, Kinematics.of(world.spec))
    seen, expert, successes = world.reset(seed), world.task.expert(), []
    controller.start(seen)
    for _ in range(steps):
        world.send_action(controller.step(expert.act(seen.values), seen).action)
        seen = world.observe()
        successes.append(bool(seen.success))
    return successes


def test_the_expert_lifts_the_cube_from_at_least_nine_of_ten_seeds(world):
    assert sum(drive(world, seed)[-1] for seed in range(20)) >= 18


def test_success_comes_only_after_ten_steps_above_ten_centimetres(world):
    controller = Controller(world.spec, Kinematics.of(world.spec))
    seen, expert = world.reset(3), world.task.expert()
    controller.start(seen)
    above = 0
    for _ in range(199):
        world.send_action(controller.step(expert.act(seen.values), seen).action)
        seen = world.observe()
        above = above + 1 if seen.values["cube_pose"][2] > 0.10 else 0
        assert seen.success is (above >= 10), f"{above} steps above 10 cm, success {seen.success}"
        if seen.success:
            return
    pytest.fail("the cube was never held")


def test_a_still_arm_never_succeeds(world):
    world.reset(1)
    home = Action(world.spec.home_rad)
    for _ in range(40):
        world.send_action(home)
    assert world.observe().success is False
    assert world.observe().progress < 0.5


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**48 - 1))
def test_the_cube_lies_within_its_field_and_within_reach(world, seed):
    cube = world.reset(seed).values["cube_pose"]
    assert np.all(np.array(PLACE_LOWER_M) <= cube[:2])
    assert np.all(cube[:2] <= np.array(PLACE_UPPER_M))
    assert np.all(cube[:2] < world.spec.workspace_upper_m[:2])


def test_seeds_differ_in_what_they_place(world):
    places = {tuple(world.reset(seed).values["cube_pose"]) for seed in range(20)}
    assert len(places) == 20


def test_a_world_that_leaves_the_room_is_named_unstable(world, monkeypatch):
    world.reset(0)
    monkeypatch.setattr("sim.world.ROOM_M", 0.1)
    with pytest.raises(UnstableWorldError, match=r"within 0\.1 m"):
        world.send_action(Action(world.spec.home_rad))


def test_unknown_names_say_what_there_is():
    with pytest.raises(UnknownRobotError, match="expected one of panda"):
        description("panad")
    with pytest.raises(UnknownTaskError, match="expected one of lift"):
        task("lfit")
    with pytest.raises(UnknownTaskError, match="panda at lift"):
        make_world("so101", "lift")
