"""A robot that offers several tasks in one engine: at each it gives the bits that a world of that task alone gives."""

from __future__ import annotations

import numpy as np
import pytest

from sim.catalogue import TASKS, UnknownRobotError, UnknownTaskError, make_world, make_worlds, offer, task, tasks_of
from sim.physics.replay import replay
from sim.physics.world import World
from sim.physics.worlds import TaskNotOfferedError
from sim.robot import NotConnectedError, Tasks, UnstableWorldError
from tests.sim.make_corpus import load
from tests.sim.physics.test_rewind import driven, live_through

pytestmark = pytest.mark.slow  # many simulated worlds

PANDA = tasks_of("panda")


@pytest.fixture
def panda():
    worlds = make_worlds("panda", PANDA)
    worlds.robot.connect()
    yield worlds
    worlds.robot.disconnect()


@pytest.mark.parametrize("order", [PANDA, PANDA[::-1]], ids=["forwards", "backwards"])
def test_the_corpus_is_replayed_task_after_task_in_one_engine_to_the_last_bit(panda, order):
    for name in order:
        golden = load(name)
        assert golden.robot == "panda"
        world = panda.change(name)
        replay(world, golden.seed, golden.joint_position, golden.gripper, golden.recorded)


def test_whatever_was_done_at_one_task_leaves_no_trace_at_another():
    random = np.random.default_rng(5)
    husky = make_worlds("husky", ("lift", "fetch"))
    husky.robot.connect()
    try:
        for kind in ("wild", "pressing", "expert"):
            for name, other in (("lift", "fetch"), ("fetch", "lift")):
                live_through(husky.change(other), kind, random)
                seed = int(random.integers(1000))
                alone = make_world("husky", name)
                alone.connect()
                assert driven(husky.change(name), seed, 30) == driven(alone, seed, 30), (kind, name)
                alone.disconnect()
    finally:
        husky.robot.disconnect()


def test_each_task_has_the_spec_that_a_world_of_it_alone_has_and_the_world_of_before_is_over(panda):
    assert isinstance(panda, Tasks)
    assert [spec.task.name for spec in panda.specs] == [*PANDA]
    before = panda.robot
    for name, offered in zip(PANDA, panda.specs, strict=True):
        world, alone = panda.change(name), make_world("panda", name).spec
        assert world.spec.task == offered.task == alone.task
        assert world.spec.engine == offered.engine == alone.engine
        assert {*world.observe().values} == {array.name for array in offered.observation}
        if world is not before:
            with pytest.raises(NotConnectedError):
                before.observe()
        before = world
    assert panda.change(PANDA[-1]) is before, "it is there already"


def test_a_task_that_is_not_offered_or_cannot_be_prepared_leaves_the_robot_where_it_is(monkeypatch):
    worlds = make_worlds("panda", ("lift", "stack"))
    worlds.robot.connect()
    with pytest.raises(TaskNotOfferedError, match="no task 'pour' here; there are lift and stack"):
        worlds.change("pour")
    seen = driven(worlds.robot, 3, 5)

    reset = World.reset

    def no_stack(world: World, seed: int):
        if world.task.spec.name == "stack":
            raise UnstableWorldError("a cube is not finite")
        return reset(world, seed)

    with monkeypatch.context() as broken:
        broken.setattr(World, "reset", no_stack)
        with pytest.raises(UnstableWorldError):
            worlds.change("stack")
    assert worlds.robot.spec.task.name == "lift"
    assert driven(worlds.robot, 3, 5) == seen
    assert worlds.change("stack").observe().progress is not None, "the next time it may work"
    worlds.robot.disconnect()


def test_a_world_that_is_there_already_is_used_whatever_its_task():
    world = make_world("panda", "push")
    world.connect()
    worlds = make_worlds("panda", ("lift", "reach"), world)
    assert worlds.robot.spec.task.name == "lift"
    assert worlds.robot.observe().progress is not None, "it is connected, as the world was"
    worlds.robot.disconnect()


def test_a_robot_is_asked_for_with_all_of_its_tasks_or_with_some():
    assert offer("panda") == ("panda", PANDA)
    assert offer("panda:stack,lift,stack") == ("panda", ("stack", "lift"))
    assert offer("husky:") == ("husky", ("lift", "fetch"))
    assert {*PANDA, *tasks_of("dual_panda"), *tasks_of("husky")} == {*TASKS}
    assert all("panda" in task(name).robots for name in PANDA)


@pytest.mark.parametrize("said", ["panda:juggle", "panda:lift,", "panda:lift,juggle", "panda:fetch"])
def test_a_task_that_a_robot_cannot_do_is_refused(said):
    with pytest.raises(UnknownTaskError):
        offer(said)


@pytest.mark.parametrize("said", ["nobody", "", ":lift", "nobody:lift"])
def test_a_robot_that_there_is_none_of_is_refused(said):
    with pytest.raises(UnknownRobotError):
        offer(said)
