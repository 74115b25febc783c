"""Whoever looks waits in one line: a crowd has a file read once, and a line that is too long is said to be."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from recorder.hub.showing import line as lines
from recorder.hub.showing.line import Line, ReplayBusyError, ReplayUnreadError

_read: list[str] = []


def reading(what: str) -> str:
    _read.append(what)
    return what.upper()


def dying(_what: str) -> None:
    os._exit(9)


def raising(what: str) -> str:
    _read.append(what)
    raise LookupError(what)


@pytest.fixture(autouse=True)
def _nothing_read() -> None:
    _read.clear()


def run(asking: Callable[[Line], Coroutine[None, None, None]]) -> None:
    with ThreadPoolExecutor(1) as executor:

        async def all_of_it() -> None:
            await asking(Line(executor))

        asyncio.run(all_of_it())


def test_a_crowd_has_the_same_read_once() -> None:
    async def crowd(line: Line) -> None:
        assert await asyncio.gather(*(line.of("a", reading, "a") for _ in range(30))) == ["A"] * 30
        assert await line.of("a", reading, "a") == "A"
        assert _read == ["a"]

    run(crowd)


def test_only_so_many_bytes_are_kept_those_that_were_asked_for_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "KEPT_BYTES", 2 * len(pickle.dumps("A")))

    async def more_and_more(line: Line) -> None:
        for what in ("a", "b", "a", "c", "b"):
            await line.of(what, reading, what)
        assert _read == ["a", "b", "c", "b"], "b was asked for longest ago when c came"

    run(more_and_more)


def test_only_so_many_wait_and_however_many_ask_for_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "WAITING_MAX", 4)
    going = threading.Event()

    def slowly(what: str) -> str:
        going.wait(20)
        return what

    async def many(line: Line) -> None:
        waiting = [asyncio.create_task(line.of(k % 4, slowly, str(k % 4))) for k in range(40)]
        await asyncio.sleep(0)
        with pytest.raises(ReplayBusyError, match="4 others wait"):
            await line.of("one more", slowly, "one more")
        waiting[0].cancel()
        going.set()
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert told[1:] == [str(k % 4) for k in range(1, 40)], "whoever leaves takes it from nobody"
        assert await line.of("one more", slowly, "one more") == "one more"

    run(many)


def test_what_cannot_be_read_is_told_to_all_who_asked_and_is_tried_again() -> None:
    async def twice(line: Line) -> None:
        found = await asyncio.gather(*(line.of("x", raising, "x") for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in found] == [LookupError] * 3
        with pytest.raises(LookupError):
            await line.of("x", raising, "x")
        assert _read == ["x", "x"]

    run(twice)


def test_a_worker_that_dies_says_nothing_of_the_file() -> None:
    with ProcessPoolExecutor(1) as executor:

        async def asking() -> None:
            with pytest.raises(ReplayUnreadError, match="try again"):
                await Line(executor).of("a", dying, "a")

        asyncio.run(asking())
