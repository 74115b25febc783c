"""A reset leaves no trace of what was driven before it: the same seed gives the bits that a world just made gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.catalogue import TASKS, make_world, task
from sim.check import drive
from sim.motion.control import Controller
from sim.physics.stepping import CURRENT, FIRST
from sim.robot import Action, UnstableWorldError

pytestmark = pytest.mark.slow  # many simulated worlds

HISTORIES = ("expert", "wild", "pressing", "resets")
PAIRS = [(task(name).robots[0], name) for name in TASKS]
STEPS = 80
"""Long enough for an expert to have grasped something; where a grasp differs in a bit, all that follows does."""


def driven(world, seed, steps=STEPS):
    """Let the expert drive from a reset; return all that was seen, as bytes."""
    controller, expert = Controller(world.spec), world.task.expert(world.description)
    seen = [world.reset(seed)]
    controller.start(seen[0])
    for _ in range(steps):
        world.send_action(controller.step(expert.act(seen[-1].values), seen[-1]).action)
        seen.append(world.observe())
    return [{name: value.tobytes() for name, value in one.values.items()} for one in seen]


def live_through(world, kind, random):
    """Drive in one of several ways from a reset, as an operator before may have done."""
    spec = world.spec
    lower, upper = np.maximum(spec.joint_lower_rad, -3.0), np.minimum(spec.joint_upper_rad, 3.0)
    world.reset(int(random.integers(1000)))
    if kind == "expert":
        steps = random.integers(1, 150)
        for _ in zip(range(steps), drive(world, int(random.integers(1000))), strict=False):
            pass
    elif kind == "wild":
        for _ in range(random.integers(1, 30)):
            world.send_action(Action(random.uniform(lower, upper), random.uniform(0.0, 1.0, spec.hands)))
    elif kind == "pressing":
        for _ in range(10):
            world.send_action(Action(0.9 * upper, np.zeros(spec.hands)))
    else:
        for _ in range(random.integers(1, 5)):
            world.reset(int(random.integers(1000)))


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def used(request):
    """A world with a past, which grows."""
    world = make_world(*request.param)
    world.connect()
    yield world
    world.disconnect()


@settings(max_examples=2, deadline=None)
@given(
    histories=st.lists(st.sampled_from(HISTORIES), min_size=1, max_size=3),
    seed=st.integers(0, 10_000),
    entropy=st.integers(0, 2**32 - 1),
)
def test_the_same_seed_gives_the_same_bits_whatever_was_driven_before(used, histories, seed, entropy):
    random = np.random.default_rng(entropy)
    for kind in histories:
        try:
            live_through(used, kind, random)
        except UnstableWorldError:
            continue  # a robot flung its things out of the room: that is a past too
    fresh = make_world(used.description.model.name, used.task.spec.name)
    fresh.connect()
    try:
        fresh._setup = None
        expected = driven(fresh, seed)
    finally:
        fresh.disconnect()
    for step, (one, other) in enumerate(zip(expected, driven(used, seed), strict=True)):
        differs = [name for name in one if one[name] != other[name]]
        assert not differs, f"{differs} differ in step {step} after {histories}"


@pytest.fixture
def lift():
    world = make_world("panda", "lift")
    world.connect()
    yield world
    world.disconnect()


def test_a_reset_does_not_load_the_robot_again(lift, monkeypatch):
    loaded = []
    monkeypatch.setattr("sim.physics.arm._loaded", lambda *arguments: loaded.append(arguments))
    for seed in range(3):
        lift.reset(seed)
        lift.send_action(Action(lift.spec.home_rad + 0.1, np.zeros(1)))
    assert not loaded


def test_a_reset_leaves_nothing_behind_in_the_engine(lift):
    def held():
        client = lift._client
        return client.getNumBodies(), client.getNumConstraints(), len(lift._setup._shapes._made)

    lift.reset(0)
    before = held()
    for seed in range(20):
        lift.reset(seed)
    assert held() == before


@pytest.mark.parametrize("velocity", [(0.0, 0.0, 1000.0), (float("nan"), 0.0, 0.0)])
def test_after_a_world_that_became_unstable_a_reset_is_as_exact(lift, velocity):
    expected = driven(lift, 5)
    lift._client.resetBaseVelocity(lift._bodies._handles[0][1], velocity)
    with pytest.raises(UnstableWorldError):
        lift.send_action(Action(lift.spec.home_rad, np.ones(1)))
    assert driven(lift, 5) == expected


def test_worlds_of_both_rates_answer_a_motion_alike():
    """The gains are adapted: a robot sent somewhere is at each moment where it was at twice the rate."""
    paths = []
    for stepping in (FIRST, CURRENT):
        world = make_world("panda", "reach", stepping)
        world.connect()
        seen, path = world.reset(1), []
        for step in range(40):
            target = world.spec.home_rad + 0.3 * min(step / 20, 1.0)
            world.send_action(Action(np.clip(target, world.spec.joint_lower_rad, world.spec.joint_upper_rad)))
            seen = world.observe()
            path.append(seen.values["joint_position"])
        paths.append(np.array(path))
        world.disconnect()
    assert np.abs(paths[0] - paths[1]).max() < 2e-3
