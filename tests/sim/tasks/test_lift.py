"""The lift task as the model of all: honest about success, within reach, and worlds that break alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.catalogue import UnknownRobotError, UnknownTaskError, description, make_world, task
from sim.check import drive
from sim.robot import Action, UnstableWorldError


@pytest.fixture(scope="module")
def world():
    world = make_world("panda", "lift")
    world.connect()
    yield world
    world.disconnect()


def test_success_comes_only_after_ten_steps_above_ten_centimetres(world):
    above, seen = 0, None
    for _, seen in drive(world, 3):
        above = above + 1 if seen.values["cube_pose"][2] > 0.10 else 0
        assert seen.success is (above >= 10), f"{above} steps above 10 cm, success {seen.success}"
    assert seen is not None
    assert seen.success, "the cube was never held"


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**48 - 1))
def test_the_cube_lies_within_its_field_and_within_reach(world, seed):
    cube, field = world.reset(seed).values["cube_pose"], world.description.field
    assert np.all(np.abs(cube[:2] - field.center_m) <= np.array(field.half_extents_m) + 1e-3)
    assert np.all(cube[:2] < world.spec.end_effectors[0].workspace_upper_m[:2])


def test_a_world_that_leaves_the_room_is_named_unstable_and_its_neighbour_goes_on(world, monkeypatch):
    neighbour = make_world("panda", "lift")
    neighbour.connect()
    still, before = Action(world.spec.home_rad), neighbour.reset(4)
    world.reset(0)
    with monkeypatch.context() as patched:
        patched.setattr("sim.physics.world.ROOM_M", 0.1)
        with pytest.raises(UnstableWorldError, match=r"within 0\.1 m"):
            world.send_action(still)
    neighbour.send_action(still)
    seen = neighbour.observe()
    assert seen.values["cube_pose"] == pytest.approx(before.values["cube_pose"], abs=1e-3)
    world.reset(0)
    world.send_action(still)
    neighbour.disconnect()


def test_unknown_names_say_what_there_is():
    with pytest.raises(UnknownRobotError, match=r"There is no robot .* There are panda"):
        description("panad")
    with pytest.raises(UnknownTaskError, match=r"There is no task .* There are .*lift"):
        task("lfit")
    with pytest.raises(UnknownTaskError, match=r"dual_panda cannot do lift\. It can do handover"):
        make_world("dual_panda", "lift")
