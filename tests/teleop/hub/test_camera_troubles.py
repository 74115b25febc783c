"""A camera that fails is told to who drives: at once, after the end, and again to who comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import SignallingError
from tests.teleop.hub.bench import Bench
from tests.teleop.hub.test_returning import driving

pytestmark = pytest.mark.anyio
CAMERA = "front"
TROUBLE: dict[str, Any] = {
    "type": "camera_trouble",
    "episode": "E1",
    "camera": CAMERA,
    "trouble": "lost",
    "times": 1,
    "from_s": 12.0,
    "until_s": None,
}


@pytest.fixture
async def bench() -> Bench:
    return Bench()


def heard(**changed: Any) -> signalling.FromHost:
    return signalling.from_host(json.dumps(TROUBLE | changed))


async def test_who_drives_is_told_what_the_host_says_of_a_camera(bench):
    operator, lease, _host = await driving(bench)
    bench.hub.from_host(lease.dock, heard())
    assert operator.ear.said == [TROUBLE]
    bench.hub.from_host(lease.dock, heard(until_s=15.5))
    assert operator.ear.said[1:] == [TROUBLE | {"until_s": 15.5}]


async def test_who_waits_or_watches_is_not(bench):
    _operator, lease, _host = await driving(bench)
    waiting, watching = bench.operator(), bench.operator()
    await waiting.join()
    await watching.says(signalling.Watch(bench.robot))
    bench.hub.from_host(lease.dock, heard())
    assert "camera_trouble" not in waiting.ear.types() + watching.ear.types()


async def test_what_is_known_only_after_the_end_is_told_too(bench):
    operator, lease, _host = await driving(bench)
    bench.hub.from_host(lease.dock, signalling.Ended("E1", True, 7, True, True, EndReason.STEP_LIMIT))
    bench.hub.from_host(lease.dock, heard(until_s=15.5))
    assert operator.ear.types() == ["ended", "camera_trouble"]


async def test_trouble_of_another_episode_or_of_no_camera_of_the_robot_is_dropped(bench):
    operator, lease, _host = await driving(bench)
    bench.hub.from_host(lease.dock, heard(episode="E0"))
    bench.hub.from_host(lease.dock, heard(camera="no such"))
    assert operator.ear.said == []
    bench.hub.from_host(lease.dock, signalling.Ended("E1", True, 7, True, True, EndReason.STEP_LIMIT))
    await operator.says(signalling.Begin(PERSON))
    operator.ear.types()
    bench.hub.from_host(lease.dock, heard())
    assert operator.ear.said == []


async def test_who_comes_back_is_told_the_newest_of_each_kind_also_of_what_came_meanwhile(bench):
    operator, lease, _host = await driving(bench)
    bench.hub.from_host(lease.dock, heard())
    await operator.leaves()
    bench.hub.from_host(lease.dock, heard(until_s=15.5))
    bench.hub.from_host(lease.dock, heard(trouble="black", from_s=20.0))
    again = bench.operator(operator.wallet)
    await again.says(signalling.Resume(lease.id, PERSON))
    again.ear.types()
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 2, "E1", 31, 40))
    assert [said["type"] for said in again.ear.said] == ["resumed", "camera_trouble", "camera_trouble"]
    assert again.ear.said[1:] == [TROUBLE | {"until_s": 15.5}, TROUBLE | {"trouble": "black", "from_s": 20.0}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"trouble": "ugly"},
        {"from_s": -1.0},
        {"from_s": 1e9},
        {"until_s": "soon"},
        {"camera": ""},
        {"camera": "x" * 65},
        {"times": -1},
        {"says": "hello"},
    ],
)
def test_a_host_says_nothing_else_of_a_camera(wrong):
    with pytest.raises(SignallingError) as error:
        heard(**wrong)
    assert error.value.code == "malformed"
