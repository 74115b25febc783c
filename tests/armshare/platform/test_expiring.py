"""What a hub does again and again goes on, whatever one time of it comes to."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

from armshare.platform import upkeep
from armshare.platform.upkeep import UPLOAD_KEPT_MS, again_and_again
from recorder.hub.erasing import Erasing
from recorder.hub.uploads import Uploads
from teleop.clock import now_ms
from teleop.hub.robots.registry import HUB_LOST
from tests.teleop.hub.bench import LEASE_S, Bench

pytestmark = pytest.mark.anyio


async def test_a_call_that_fails_is_made_again_after_the_same_pause():
    pauses_s: list[float] = []
    calls: list[str] = []

    async def call() -> None:
        calls.append("call")
        if len(calls) < 4:
            raise RuntimeError("not today")

    async def pause(seconds: float) -> None:
        pauses_s.append(seconds)
        if len(pauses_s) == 5:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await again_and_again(call, 7.0, pause)
    assert (calls, pauses_s) == (["call"] * 5, [7.0] * 5)


class NothingToErase:
    def sweep(self) -> list[str]:
        return []


async def no_exports() -> None:
    """Sweep nothing."""


NOTHING_TO_ERASE = cast(Erasing, cast(Any, NothingToErase()))


class BadUploads:
    """Uploads whose folder is gone, or whose database does not answer."""

    def __init__(self) -> None:
        self.before_ms: list[int] = []
        self.asked = threading.Event()

    def expire(self, before_ms: int) -> None:
        self.before_ms.append(before_ms)
        self.asked.set()
        raise OSError("no such folder")


async def test_neither_uploads_that_fail_nor_an_error_of_its_own_end_the_expiry_of_leases(monkeypatch):
    monkeypatch.setattr(upkeep, "EXPIRY_S", 0.0)
    bench, uploads = Bench(), BadUploads()
    expire, tries, over = bench.hub.expire, 0, asyncio.Event()

    def failing_twice() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RuntimeError("dictionary changed size during iteration")
        expire()
        if bench.hub.counts["leases"] == 2:
            over.set()

    monkeypatch.setattr(bench.hub, "expire", failing_twice)
    async with upkeep.expiring(bench.hub, cast(Uploads, cast(Any, uploads)), NOTHING_TO_ERASE, no_exports):
        dock, _ = await bench.host()
        holder, waiting = bench.operator(), bench.operator()
        lease = await holder.join()
        await waiting.join()
        bench.pass_s(LEASE_S + 1)
        await over.wait()
        assert not lease.held
        assert dock.holder is waiting.seat.lease
        await asyncio.to_thread(uploads.asked.wait)
    assert tries >= 3
    assert abs(now_ms() - UPLOAD_KEPT_MS - uploads.before_ms[0]) < 3_600_000
    assert [reason for _, reason in bench.store.ends] == ["expired", "host_lost"], "and at the end all are ended"


async def test_a_hub_that_starts_closes_what_the_last_one_left_open():
    bench = Bench()
    await bench.host()
    operator = bench.operator()
    await operator.join()
    async with upkeep.expiring(bench.new_hub(), cast(Uploads, cast(Any, BadUploads())), NOTHING_TO_ERASE, no_exports):
        assert bench.store.ends == [(operator.wallet.address, HUB_LOST)]


def test_leases_are_looked_at_every_second_and_uploads_kept_for_a_week():
    assert (upkeep.EXPIRY_S, upkeep.SWEEP_S, UPLOAD_KEPT_MS) == (1.0, 3600.0, 7 * 24 * 3_600_000)
