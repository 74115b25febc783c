"""A hub that starts checks again all that it held, and later only what is due."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from armshare.platform import upkeep

pytestmark = pytest.mark.anyio


class Intake:
    """Says how it was asked; the first time, its database is away."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.enough = asyncio.Event()

    async def check_held(self, ticket_of: Any, *, due: bool) -> None:
        self.asked.append(due)
        if len(self.asked) == 1:
            raise OSError("the database is away")
        if len(self.asked) == 3:
            self.enough.set()


def no_ticket(episode: str) -> None:
    """Know no ticket."""


async def test_all_that_is_held_is_checked_once_at_the_start_and_then_what_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "CHECK_HELD_S", 0.0)
    intake = Intake()
    async with upkeep.checking(intake, no_ticket):  # type: ignore[arg-type]  in their places
        await asyncio.wait_for(intake.enough.wait(), 20)
    assert intake.asked[:3] == [False, False, True]
