"""Waiting for an event for so long: it comes, it does not, or whoever waits is to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rewards.hub.datasets.cards import Cards
from rewards.hub.rescoring import Rescoring
from teleop.clock import within

pytestmark = pytest.mark.anyio


async def test_it_says_whether_the_event_came() -> None:
    event = asyncio.Event()
    assert not await within(event, 0.001)
    asyncio.get_running_loop().call_soon(event.set)
    assert await within(event, 60)


async def ended_as_the_event_comes(event: asyncio.Event, task: asyncio.Task[None]) -> bool:
    """Set the event and cancel in the same turn of the loop; return whether the task has ended by that."""
    event.set()
    await asyncio.sleep(0)  # the wait inside has its answer, and whoever asked for it has not gone on
    task.cancel()
    ended, _ = await asyncio.wait({task}, timeout=2)
    if not ended:
        task.cancel()
        await asyncio.wait({task})
    return bool(ended)


def rescoring() -> tuple[Any, asyncio.Event]:
    made = Rescoring(None, None, None)  # type: ignore[arg-type]  # nothing is asked of them
    return made, made._asked


def cards() -> tuple[Any, asyncio.Event]:
    made = Cards(None, None, None)  # type: ignore[arg-type]  # nothing is asked of them
    return made, made._asked


@pytest.mark.parametrize("make", [rescoring, cards])
async def test_whoever_is_ended_as_work_comes_ends(make: Callable[[], tuple[Any, asyncio.Event]]) -> None:
    """`asyncio.wait_for` swallowed the cancellation, and the hub waited for a task that went on for ever."""
    worker, event = make()
    looked = asyncio.Event()

    async def nothing() -> None:
        looked.set()

    worker.work = nothing
    task = asyncio.create_task(worker.run())
    await looked.wait()
    await asyncio.sleep(0)
    assert await ended_as_the_event_comes(event, task)
