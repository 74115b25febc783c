"""A robot that offers several tasks changes between leases, at rest, and each drive is of the task that was granted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sim.catalogue import make_world, make_worlds
from sim.physics.replay import compared, replay
from sim.physics.worlds import Worlds
from sim.robot import UnstableWorldError
from teleop.host.link import Host
from teleop.host.session import Session
from teleop.identity import SESSION_GRANT, Domain, new_key
from teleop.steps import EpisodeEnd, EpisodeStart, Events, Step
from teleop.wire import signalling
from teleop.wire.descriptor import at_task, describe, require_descriptor
from teleop.wire.driver import PERSON
from teleop.wire.messages import Mode, Safety, State
from teleop.wire.reasons import EndReason
from tests.teleop.sessions import GRANT, Bench, release

UP = [0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0]
TASKS = ("lift", "push", "reach")


class Floor(Bench):
    """A session of a simulated Panda that offers several tasks."""

    def __init__(self, tasks: Worlds) -> None:
        super().__init__()
        self.tasks, self.changes, self.raw = tasks, [], []
        clock, self.events = self.session._clock, Events()
        self.session = Session(
            tasks, "0xC", "bench", self.events, self.publish, self.reports.append, clock, self.changes.append
        )

    def publish(self, data: bytes) -> None:
        self.states.append(State.decode(data))

    def lease_at(self, task: str) -> None:
        self.epoch, self.seq = self.epoch + 1, 0
        self.session.obey(signalling.LeaseOrder(f"L{self.epoch}", self.epoch, "0xA", GRANT, "0x", task))

    def episode(self, name: str, periods: int = 6) -> list[object]:
        """Drive one, and return what the recorder was handed."""
        self.session.obey(signalling.BeginOrder(name, 7, "0x01", PERSON))
        self.tick()
        self.say()
        self.tick()
        self.drive(Mode.EE_TWIST, UP, periods)
        self.session.obey(signalling.FinishOrder(EndReason.FINISHED))
        found = list(self.events.queue)
        self.events.queue.clear()
        return found


@pytest.fixture
def floor() -> Iterator[Floor]:
    tasks = make_worlds("panda", TASKS)
    tasks.robot.connect()
    yield Floor(tasks)
    tasks.robot.disconnect()


def values_of(task: str) -> int:
    arrays = describe("bench", make_world("panda", task).spec)["observation"]
    return sum(int(np.prod(array["shape"])) for array in arrays)


def test_each_drive_is_of_the_task_of_its_lease_and_replays_in_a_world_of_that_task_alone(floor):
    for task in ("push", "lift", "reach", "push"):
        floor.lease_at(task)
        start, *steps, end = floor.episode(task)
        floor.session.obey(signalling.Revoke(floor.epoch, EndReason.LEFT))
        floor.tick(8)
        assert isinstance(start, EpisodeStart)
        assert isinstance(end, EpisodeEnd)
        alone = make_world("panda", task)
        assert (start.spec.task, start.spec.engine) == (alone.spec.task, alone.spec.engine)
        seen = [start.initial, *(step.observed for step in steps)]
        applied = [step.applied for step in steps if isinstance(step, Step)]
        assert len(applied) == end.steps > 3
        alone.connect()
        joints = np.array([one.joint_position for one in applied])
        replay(alone, start.seed, joints, np.array([one.gripper for one in applied]), compared(seen))
        alone.disconnect()
    assert [spec.task.name for spec in floor.changes] == ["push", "lift", "reach", "push"]


def test_a_state_of_a_lease_is_laid_out_for_its_task_even_if_the_arm_still_brakes(floor):
    sizes = {task: values_of(task) for task in TASKS}
    assert len({*sizes.values()}) == 3
    floor.lease_at("lift")
    floor.episode("first")
    assert not floor.session.at_rest
    floor.lease_at("push")
    assert floor.changes == [], "it brakes first"
    floor.session.obey(signalling.BeginOrder("second", 8, "0x02", PERSON))
    heard = len(floor.states)
    floor.tick(12)
    assert floor.reports[-1] == signalling.Ready("second", 8)
    assert {len(state.values) for state in floor.states[heard:]} == {sizes["push"]}
    assert {len(state.values) for state in floor.states if state.epoch == floor.epoch} == {sizes["push"]}
    assert [spec.task.name for spec in floor.changes] == ["push"]


def test_a_lease_that_ends_before_the_arm_is_at_rest_changes_nothing(floor):
    floor.lease_at("lift")
    floor.episode("first")
    floor.lease_at("push")
    floor.session.obey(signalling.Revoke(floor.epoch, EndReason.LEFT))
    floor.tick(12)
    assert floor.session.idle
    assert floor.changes == []
    assert floor.tasks.robot.spec.task.name == "lift"


def test_a_robot_that_is_stopped_stands_still_until_it_is_cleared_and_then_goes_to_the_task(floor):
    floor.session.obey(signalling.EstopOrder("0xB"))
    floor.lease_at("push")
    floor.tick(3)
    assert (floor.changes, floor.states) == ([], [])
    floor.session.obey(signalling.BeginOrder("early", 1, "0x01", PERSON))
    assert floor.reports[-1] == signalling.Ended("early", False, 0, None, False, EndReason.ESTOPPED)
    floor.session.obey(release(floor.session.latch))
    floor.tick()
    assert [spec.task.name for spec in floor.changes] == ["push"]
    assert floor.states[-1].safety is Safety.EXPIRED
    assert len(floor.states[-1].values) == values_of("push")
    start, *_ = floor.episode("now")
    assert start.spec.task.name == "push"


def test_a_task_that_cannot_be_prepared_refuses_the_lease_and_the_next_one_is_driven(floor, monkeypatch):
    def breaks(_task: str):
        raise UnstableWorldError("the cube is not finite")

    with monkeypatch.context() as broken:
        broken.setattr(floor.tasks, "change", breaks)
        floor.lease_at("push")
    told = "the task push cannot be prepared: the cube is not finite"
    assert floor.reports[-1] == signalling.Refused(f"L{floor.epoch}", told)
    assert floor.session.idle
    floor.lease_at("push")
    start, *_ = floor.episode("again")
    assert start.spec.task.name == "push"


def test_a_robot_with_one_task_is_driven_at_it_as_ever():
    bench = Bench()
    bench.ready()
    bench.drive(Mode.EE_TWIST, UP, 3)
    assert bench.states[-1].recording


def test_a_host_describes_every_task_and_takes_a_lease_for_each_and_for_no_other():
    key, operator = new_key(), new_key()
    host = Host("http://127.0.0.1:9", key, "bench", make_worlds("panda", TASKS), Events())
    said = require_descriptor(describe("bench", *host._tasks.specs))
    assert [task["name"] for task in said["tasks"]] == [*TASKS]
    for task in TASKS:
        alone = describe("bench", make_world("panda", task).spec)
        there = at_task(said, task)
        assert {**there, "tasks": []} == {**alone, "tasks": []}, "as if it offered nothing else"
        assert alone["tasks"][0] in there["tasks"]
    domain = Domain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
    for epoch, (granted, ordered) in enumerate((("push", "push"), ("pour", "pour"), ("lift", "push")), start=1):
        grant = signalling.Grant(operator.address, key.address, key.address, granted, f"0x{epoch:064x}", 2**45)
        signature = SESSION_GRANT.sign(operator, domain, grant.values)
        order = signalling.LeaseOrder("L", epoch, operator.address, grant, signature, ordered)
        refusal = host._refusal(order, domain)
        assert (refusal is None) == (granted == ordered == "push"), refusal
        assert refusal is None or "expected one of the tasks ['lift', 'push', 'reach']" in refusal
    host._tasks.robot.disconnect()
