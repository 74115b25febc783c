"""How a host registers its robot: with both keys, and as soon as its clock is right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from armshare.failures import NotOnlineError
from armshare.platform import host
from teleop import clock
from teleop.hub.robots.registrations import CLOCKS_MS
from teleop.identity import new_key
from tests.teleop.platform import DOMAIN, hub_at
from tests.teleop.sessions import PANDA, Puppet

pytestmark = pytest.mark.anyio


def ticking(behind_ms: Iterator[int], read: list[int]) -> int:
    """Read a clock that is behind by the next of these."""
    read.append(next(behind_ms))
    return clock.now_ms() - read[-1]


async def test_a_host_whose_clock_is_off_waits_until_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    behind_ms, read = iter([2 * CLOCKS_MS, 2 * CLOCKS_MS, 0]), list[int]()
    monkeypatch.setattr(host, "now_ms", lambda: ticking(behind_ms, read))
    monkeypatch.setattr(host, "_RETRY_S", 0.0)
    key, owner = new_key(), new_key()
    async with hub_at(tmp_path) as (url, _hub, registry):
        assert await host._register(url, key, owner, "puppet", Puppet(PANDA)) == DOMAIN
        assert len(read) == 3, "it has tried until then"
        assert registry.robot(key.address).owner == owner.address
        monkeypatch.setattr(host, "now_ms", clock.now_ms)
        with pytest.raises(NotOnlineError, match=f"belongs to {owner.address}"):
            await host._register(url, key, new_key(), "puppet", Puppet(PANDA))
