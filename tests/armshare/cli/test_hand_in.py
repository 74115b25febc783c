"""Handing an episode in holds nobody's robot: the next is driven meanwhile, and each is handed in in its turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from rich.text import Text

from armshare.failures import DemoError, HeldError
from armshare.operator import handing as handing_door
from armshare.operator.drive import AHEAD, Outcome, drive, lines
from armshare.operator.handing import Episode, HandIn, Held, contribute
from teleop.identity import new_key
from teleop.operator.driver import Driver
from teleop.operator.pilot import Crew, expert
from tests.armshare.platform.test_house import robot_of

pytestmark = pytest.mark.anyio

PATIENCE_S = 60.0


class Hub:
    """In place of `contribute`: says when each episode's turn came, and answers when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.answers = {name: asyncio.get_running_loop().create_future() for name in ("a", "b", "c")}
        monkeypatch.setattr(handing_door, "contribute", self)

    async def __call__(self, _driver: Driver, ended: Mapping[str, Any], robot: str, _tell: Any) -> Episode:
        assert robot == "robot"
        name = ended["episode"]
        self.asked.append(name)
        accepted: bool = await self.answers[name]
        return Episode(name, 1, True, 1.0, accepted, "", 0, "0", False, [])


async def turns() -> None:
    """Let every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_may_be_under_way_while_the_next_is_driven(monkeypatch):
    hub, done = Hub(monkeypatch), []
    async with HandIn(None, "robot", done) as handing:
        handing.add({"episode": "a"})
        await handing.wait(most=1)
        assert (handing.under_way, done) == (1, [])
        handing.add({"episode": "b"})
        waiting = asyncio.create_task(handing.wait(most=1))
        await turns()
        assert not waiting.done()
        assert hub.asked == ["a"], "in their order, and one at a time"
        hub.answers["a"].set_result(True)
        await waiting
        assert [one.episode for one in done] == ["a"]
        hub.answers["b"].set_result(True)
    assert [one.episode for one in done] == ["a", "b"]


async def test_a_slow_hub_holds_up_no_drive_and_each_score_is_told_as_it_comes(monkeypatch):
    hub, done, told = Hub(monkeypatch), [], []
    async with HandIn(None, "robot", done, scored=lambda one: told.append(one.episode)) as handing:
        for name in ("a", "b", "c"):
            await handing.wait(most=AHEAD)
            handing.add({"episode": name})
        assert handing.under_way == 3
        hub.answers["a"].set_result(True)
        await turns()
        assert told == ["a"]
        hub.answers["b"].set_result(True)
        hub.answers["c"].set_result(True)
    assert told == [one.episode for one in done] == ["a", "b", "c"]


async def test_what_is_refused_ends_the_drive_before_the_next_episode(monkeypatch):
    hub, done, driven = Hub(monkeypatch), [], []
    hub.answers["a"].set_exception(DemoError("refused"))
    hub.answers["b"].set_result(True)

    async def driving() -> None:
        async with HandIn(None, "robot", done) as handing:
            for name in ("a", "b", "c"):
                await handing.wait(most=AHEAD)
                driven.append(name)
                handing.add({"episode": name})
                if name == "b":
                    await turns()

    with pytest.raises(DemoError, match="refused"):
        await driving()
    assert driven == ["a", "b"]
    assert [one.episode for one in done] == ["b"]


async def test_what_was_driven_meanwhile_is_handed_in_though_the_one_before_was_refused(monkeypatch):
    hub, done = Hub(monkeypatch), []

    async def driving() -> None:
        async with HandIn(None, "robot", done) as handing:
            handing.add({"episode": "a"})
            handing.add({"episode": "b"})

    task = asyncio.create_task(driving())
    await turns()
    hub.answers["a"].set_exception(DemoError("refused"))
    await turns()
    assert hub.asked == ["a", "b"]
    hub.answers["b"].set_result(True)
    with pytest.raises(DemoError, match="refused"):
        await task
    assert [one.episode for one in done] == ["b"]


async def test_whoever_waits_for_the_last_one_can_be_interrupted_and_nothing_goes_on_unseen(monkeypatch):
    hub, done = Hub(monkeypatch), []

    async def driving() -> None:
        async with HandIn(None, "robot", done) as handing:
            handing.add({"episode": "a"})

    task = asyncio.create_task(driving())
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (hub.answers["a"].cancelled(), done) == (True, [])


async def test_one_that_the_hub_cannot_check_yet_is_named_and_the_next_is_handed_in(monkeypatch):
    hub, done, told = Hub(monkeypatch), [], []
    outcome = Outcome("", "panda-1", "lift", 3, episodes=done)
    why = "a is signed and waits to be checked: this robot's description is not here; the hub checks it again by itself"
    hub.answers["a"].set_exception(HeldError(why))
    hub.answers["b"].set_result(True)
    hub.answers["c"].set_result(True)
    async with HandIn(None, "robot", done, told.append, [], outcome.held) as handing:
        handing.add({"episode": "a"})
        handing.add({"episode": "b"})
        await handing.wait()
        assert (outcome.held, told, outcome.left) == ([Held("a", why)], [why], 1)
        handing.add({"episode": "c"})

    assert [one.episode for one in done] == ["b", "c"]
    assert (outcome.left, outcome.complete) == (0, False)
    assert f"waits  {why}" in [Text.from_markup(line).plain for line in lines(outcome)]
    assert json.loads(json.dumps(outcome.as_dict()))["held"] == [{"episode": "a", "says": why}]


async def test_one_that_is_held_while_the_drive_ends_otherwise_is_named_too(monkeypatch):
    hub, outcome = Hub(monkeypatch), Outcome("", "panda-1", "lift", 2)
    hub.answers["a"].set_exception(DemoError("refused"))
    hub.answers["b"].set_exception(HeldError("b is signed and waits"))

    async def driving() -> None:
        async with HandIn(None, "robot", outcome.episodes, held=outcome.held) as handing:
            handing.add({"episode": "a"})
            handing.add({"episode": "b"})

    with pytest.raises(DemoError, match="refused"):
        await driving()
    assert outcome.held == [Held("b", "b is signed and waits")]


async def test_whoever_asks_for_no_such_list_gets_the_error(monkeypatch):
    hub = Hub(monkeypatch)
    hub.answers["a"].set_exception(HeldError("a waits"))
    with pytest.raises(HeldError):
        async with HandIn(None, "robot", []) as handing:
            handing.add({"episode": "a"})


async def test_the_next_episode_begins_before_the_hub_has_said_anything_of_the_last(house, monkeypatch):
    begun, twice = [], asyncio.Event()

    def make(robot: Any, task: str) -> Any:
        begun.append(task)
        if len(begun) == 2:
            twice.set()
        return expert(robot, task)

    async def held(*arguments: Any) -> Episode:
        async with asyncio.timeout(PATIENCE_S):
            await twice.wait()
        return await contribute(*arguments)

    monkeypatch.setattr(handing_door, "contribute", held)
    async with Driver(house.url, new_key()) as visitor:
        await robot_of(visitor)
    outcome = Outcome("", "panda-1", "lift", 2)
    await drive(house.url, new_key(), outcome, Crew(make), lambda _: None)

    assert [one.accepted for one in outcome.episodes] == [True, True]
    async with httpx.AsyncClient(base_url=house.url) as http:
        for one in outcome.episodes:
            assert (await http.get(f"/api/episodes/{one.episode}")).json()["state"] == "verified"
