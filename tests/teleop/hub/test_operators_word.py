"""Promises of the operator's word at `finish`: the host is told what they said, once, and only if it can keep it."""

from __future__ import annotations

import pytest

from teleop.wire import signalling
from tests.teleop.hub.bench import Bench
from tests.teleop.hub.test_hearing import begun, ended, hears

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("said", [True, False])
async def test_what_the_operator_says_reaches_the_host_and_stays_beside_the_ticket(bench: Bench, said: bool) -> None:
    dock, operator, host = await begun(bench)
    dock.keeps_word = True
    await operator.says(signalling.Finish(said))
    await operator.says(signalling.Finish(not said))
    await hears(bench, dock, ended())

    assert host.last("finish")["said"] in (True, False)
    assert bench.store.tickets[0].said is said, "the first word counts"


async def test_who_says_nothing_is_not_quoted(bench: Bench) -> None:
    dock, operator, host = await begun(bench)
    dock.keeps_word = True
    await operator.says(signalling.Finish())
    await hears(bench, dock, ended())

    assert "said" not in host.last("finish")
    assert bench.store.tickets[0].said is None


async def test_a_host_of_an_earlier_release_is_told_nothing_that_it_does_not_know(bench: Bench) -> None:
    """It would take the field for a damaged frame, and close the connection in the middle of the drive."""
    dock, operator, host = await begun(bench)
    await operator.says(signalling.Finish(True))
    await hears(bench, dock, ended())

    assert "said" not in host.last("finish")
    assert bench.store.tickets[0].said is None, "what no file can repeat is held against no file"
