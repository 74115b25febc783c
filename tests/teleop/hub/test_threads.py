"""What the hub's loop changes, no other thread walks through: a route that runs in a thread is handed what it shows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from teleop.hub.accounts import NotSignedInError
from tests.teleop.hub.routes import Routes

pytestmark = pytest.mark.anyio


class LoopsOwn(dict[str, Any]):
    """A dictionary that only the thread which made it may walk through."""

    def __init__(self, entries: dict[str, Any]) -> None:
        super().__init__(entries)
        self._thread = threading.get_ident()

    def _require_loop(self) -> None:
        if threading.get_ident() != self._thread:
            raise RuntimeError("dictionary changed size during iteration")

    def __iter__(self) -> Iterator[str]:
        self._require_loop()
        return super().__iter__()

    def values(self) -> Any:
        self._require_loop()
        return super().values()

    def items(self) -> Any:
        self._require_loop()
        return super().items()


@pytest.mark.parametrize("path", ["/api/counts", "/api/robots", "/api/robots/{robot}"])
async def test_no_route_walks_through_the_docks_beside_the_loop(tmp_path, path):
    routes = Routes(tmp_path)
    robot = routes.register()
    await routes.dock(robot)
    routes.hub.docks = LoopsOwn(routes.hub.docks)
    answer = await routes.http.get(path.format(robot=robot.address))
    assert answer.status_code == 200, answer.text
    assert answer.json()


async def test_who_uploads_is_found_beside_the_loop_while_robots_come_and_go(tmp_path):
    routes = Routes(tmp_path)
    dock = await routes.dock(routes.register())
    routes.hub.docks = LoopsOwn(routes.hub.docks)
    assert await asyncio.to_thread(routes.driving.robot_of, dock.upload_token) == dock.address
    with pytest.raises(NotSignedInError):
        await asyncio.to_thread(routes.driving.robot_of, "another token")
