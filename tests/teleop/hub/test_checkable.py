"""A robot whose episodes this hub cannot check: its host, its card, and whoever joins it are told before a drive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from teleop.hub.hub import Hub
from teleop.hub.robots.checkable import Unchecked
from tests.teleop.hub.bench import DOMAIN, LEASE_S, Bench

pytestmark = pytest.mark.anyio
REASON = "UnknownRobot: this robot's description is not here"
DETAIL = "UnknownRobot: this robot's description is not here (There is no robot 'pandora'.)"
TOLD = {"type": "cannot_check", "task": "lift", "reason": REASON}


class Verifiers:
    """Answers when it is told to."""

    def __init__(self, **found: Unchecked) -> None:
        self.found, self.may = found, asyncio.Event()
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def __call__(self, described: Mapping[str, Any]) -> Mapping[str, Unchecked]:
        self.asked.append(described["model"])
        await self.may.wait()
        if self.error is not None:
            raise self.error
        return self.found


def at(verifiers: Verifiers) -> Bench:
    bench = Bench()
    bench.hub = Hub(
        bench.store,
        DOMAIN,
        LEASE_S,
        now_ms=lambda: bench.now_ms,
        monotonic_ms=lambda: bench.monotonic_ms,
        ask=bench.database.ask,
        checkable=verifiers,
    )
    return bench


async def test_host_card_and_operators_are_told_before_they_drive() -> None:
    verifiers = Verifiers(lift=Unchecked(REASON, DETAIL))
    bench = at(verifiers)
    _dock, host = await bench.host()
    waits = bench.operator()
    await waits.join()
    assert bench.hub.presences()[bench.robot].unchecked == {}
    assert "cannot_check" not in waits.ear.types() + host.types(), "nobody waits for the answer"

    verifiers.may.set()
    await bench.settle()
    assert host.last("cannot_check") == {"type": "cannot_check", "task": "lift", "reason": DETAIL}
    assert waits.ear.last("cannot_check") == TOLD | {"robot": bench.robot}
    assert bench.hub.presences()[bench.robot].unchecked == {"lift": REASON}

    later = bench.operator()
    await later.join()
    assert later.ear.types() == ["welcome", "cannot_check", "queued"]


async def test_nobody_is_told_of_another_task() -> None:
    verifiers = Verifiers(stack=Unchecked(REASON, DETAIL))
    verifiers.may.set()
    bench = at(verifiers)
    _dock, host = await bench.host()
    operator = bench.operator()
    await operator.join()

    assert operator.ear.types() == ["welcome", "queued", "granted"]
    assert host.last("cannot_check")["task"] == "stack"


async def test_a_real_robot_is_not_replayed_so_nobody_asks() -> None:
    verifiers = Verifiers()
    bench = at(verifiers)
    bench.store.robots[bench.robot].simulated = False
    await bench.host(descriptor={**bench.hello().descriptor, "simulated": False})
    await bench.settle()

    assert verifiers.asked == []


async def test_a_worker_that_dies_of_it_says_nothing_and_the_robot_is_driven() -> None:
    verifiers = Verifiers()
    verifiers.error = RuntimeError("the worker died")
    verifiers.may.set()
    bench = at(verifiers)
    await bench.host()
    operator = bench.operator()
    lease = await operator.join()

    assert lease.held
    assert bench.hub.presences()[bench.robot].unchecked == {}


async def test_an_answer_that_comes_when_the_hub_ends_is_not_waited_for() -> None:
    bench = at(Verifiers())
    async with bench.hub:
        await bench.host()
