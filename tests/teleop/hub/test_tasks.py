"""One robot, several tasks: each operator is granted theirs, everyone is told the layout, and there is one queue."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sim.catalogue import make_world, make_worlds, pairs, tasks_of
from teleop.cameras.spec import cameras_of
from teleop.hub.leases.docks import LeaseState
from teleop.wire import signalling
from teleop.wire.descriptor import DESCRIPTOR_BYTES_MAX, at_task, describe, require_descriptor
from teleop.wire.driver import PERSON
from teleop.wire.messages import JSON_BYTES_MAX
from teleop.wire.signalling import SignallingError
from tests.teleop.hub.bench import Bench

pytestmark = pytest.mark.anyio
TASKS = ("lift", "stack", "push")


def descriptor(*tasks: str, robot: str = "panda") -> dict[str, Any]:
    specs = make_worlds(robot, tasks).specs
    said = {**describe("robot-1", *specs), "cameras": [camera.describe() for camera in cameras_of(specs[0])]}
    fresh: dict[str, Any] = json.loads(json.dumps(said))
    return fresh


SAID = descriptor(*TASKS)


@pytest.fixture
async def bench() -> Bench:
    return Bench()


def joins(operator, task: str) -> signalling.Join:
    return operator.grant(task=task)


async def test_each_operator_is_granted_the_robot_as_it_is_at_their_task(bench):
    _dock, host = await bench.host(descriptor=SAID)
    for task in ("push", "lift", "stack"):
        operator = bench.operator()
        await operator.says(joins(operator, task))
        told = operator.ear.last("granted")
        assert told["robot"] == at_task(SAID, task)
        assert told["task"]["name"] == task
        assert "setting" not in told["task"]
        assert all("setting" not in each for each in told["robot"]["tasks"])
        assert [each["name"] for each in told["robot"]["tasks"]] == [*TASKS]
        assert (host.last("lease")["task"], host.last("lease")["grant"]["task"]) == (task, task)
        await operator.says(signalling.Begin(PERSON))
        assert bench.store.tickets[-1].task == task
        await operator.leaves()


async def test_a_task_that_is_not_offered_is_refused_with_those_that_are(bench):
    await bench.host(descriptor=SAID)
    operator = bench.operator()
    with pytest.raises(SignallingError, match=r"expected one of \['lift', 'stack', 'push'\] at this robot") as refused:
        await operator.says(joins(operator, "pour"))
    assert refused.value.code == "unknown_task"


async def test_there_is_one_queue_whichever_task_one_waits_for(bench):
    dock, _host = await bench.host(descriptor=SAID)
    first, second, third = (bench.operator() for _ in range(3))
    for operator, task in ((first, "lift"), (second, "push"), (third, "lift")):
        await operator.says(joins(operator, task))
    assert second.ear.last("queued")["position"] == 1
    assert third.ear.last("queued")["position"] == 2, "the robot is at their task, and it is still not their turn"
    await first.leaves()
    assert second.seat.lease is dock.holder
    assert dock.holder.state is LeaseState.GRANTED
    presence = bench.hub.presences()[bench.robot]
    assert (presence.task, presence.queue_length) == ("push", 1)


async def test_who_watches_is_told_what_the_states_hold_before_those_of_another_task_come(bench):
    _dock, _host = await bench.host(descriptor=SAID)
    watcher, driver = bench.operator(), bench.operator()
    await watcher.says(signalling.Watch(bench.robot))
    assert watcher.ear.last("watching")["robot"] == at_task(SAID, None)
    assert watcher.ear.last("watching")["task"]["name"] == "lift"
    watcher.ear.types()
    await driver.says(joins(driver, "lift"))
    assert watcher.ear.types() == [], "it is at that task already"
    await driver.leaves()
    await driver.leaves()
    again = bench.operator()
    await again.says(joins(again, "push"))
    told = watcher.ear.last("watching")
    assert (told["robot"], told["task"]["name"]) == (at_task(SAID, "push"), "push")
    assert told["epoch"] == again.ear.last("granted")["epoch"], "what is left of the lease before is laid out otherwise"
    late = bench.operator()
    await late.says(signalling.Watch(bench.robot))
    assert late.ear.last("watching") == told


async def test_after_a_restart_of_its_hub_states_of_earlier_leases_are_not_taken_for_the_first_task(bench):
    await bench.host(descriptor=SAID)
    driver = bench.operator()
    await driver.says(joins(driver, "push"))
    epoch = driver.ear.last("granted")["epoch"]
    bench.hub = bench.new_hub()
    await bench.host(descriptor=SAID)
    watcher = bench.operator()
    await watcher.says(signalling.Watch(bench.robot))
    assert watcher.ear.last("watching")["epoch"] > epoch


async def test_a_host_that_knows_of_one_task_only_is_served_as_before(bench):
    dock, _host = await bench.host()
    assert all("setting" not in task for task in dock.descriptor["tasks"])
    watcher, driver = bench.operator(), bench.operator()
    await watcher.says(signalling.Watch(bench.robot))
    assert watcher.ear.last("watching")["epoch"] == 0, "a real arm shows itself before the first lease"
    await driver.join()
    assert driver.ear.last("granted")["robot"] == dock.descriptor


@pytest.mark.parametrize("robot", sorted({robot for robot, _ in pairs()}))
def test_every_robot_of_ours_with_all_of_its_tasks_is_within_the_bounds(robot):
    said = descriptor(*tasks_of(robot), robot=robot)
    assert require_descriptor(said) is said
    hello = signalling.HostHello(1, "0x" + "0" * 40, "0x" + "0" * 130, said, False)
    assert len(signalling.encode(hello)) < JSON_BYTES_MAX
    for task in tasks_of(robot):
        alone = describe("robot-1", make_world(robot, task).spec)
        assert at_task(said, task)["observation"] == alone["observation"]


@pytest.mark.parametrize(
    ("break_it", "where"),
    [
        (lambda setting: setting.pop("scene"), "setting"),
        (lambda setting: setting.update(colour="red"), "colour"),
        (lambda setting: setting.update(observation=setting["observation"] * 2), "observation"),
        (lambda setting: setting["observation"][0].update(shape=[1025]), "1024|1025"),
        (lambda setting: setting["engine"].update({"x": "y" * 501}), "engine"),
        (lambda setting: setting["scene"]["bodies"].extend(setting["scene"]["bodies"] * 40), "bodies"),
    ],
)
def test_a_setting_has_the_bounds_of_what_it_replaces(break_it, where):
    said = json.loads(json.dumps(SAID))
    break_it(said["tasks"][1]["setting"])
    with pytest.raises(SignallingError, match=where) as refused:
        require_descriptor(said)
    assert refused.value.code == "malformed"


def test_what_a_lease_would_carry_is_bounded_at_each_task_and_so_is_the_whole():
    body = SAID["scene"]["bodies"][0]
    part = body["parts"][0]

    def with_bodies(count: int, tasks: int) -> dict[str, Any]:
        said = json.loads(json.dumps(SAID))
        bodies = [{**body, "name": f"b{at}", "parts": [part] * 8} for at in range(count)]
        for task in said["tasks"][1 : 1 + tasks]:
            task["setting"]["scene"]["bodies"] = bodies
        return dict(said)

    assert require_descriptor(with_bodies(12, 1))
    with pytest.raises(SignallingError, match=f"at each of its tasks of at most {DESCRIPTOR_BYTES_MAX} bytes"):
        require_descriptor(with_bodies(32, 1))
    with pytest.raises(SignallingError, match="a descriptor of at most 49152 bytes"):
        require_descriptor(with_bodies(25, 2))
