"""What a robot's owner does from the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from armshare.client import one_of
from armshare.failures import NotOnlineError, StillFaultedError
from armshare.operator.drive import signed_in
from teleop.identity import load_key
from teleop.operator.driver import Driver


async def clear(hub: str, data: Path, robot: str) -> bool:
    """Release the e-stop or the fault of a robot, named by address or name; return whether there was one.

    Raises PlatformError, NotOnlineError, RefusedError, or StillFaultedError if it is broken still.
    """
    async with _owner(hub, data, robot) as (driver, card):
        if card["online"] and card["stop"] is None:
            return False
        await driver.send({"type": "watch", "robot": card["robot"]})
        await driver.wait_for("watching")
        await driver.clear(card["robot"], card["stop"])
        await driver.wait_for("cleared", told=_require_whole)
    return True


def _require_whole(message: dict[str, Any]) -> None:
    if message["type"] == "faulted":
        raise StillFaultedError(f"The robot is still broken: {message['reason']}")


async def remove(hub: str, data: Path, robot: str) -> None:
    """Take a robot that is away from the hub's list; raise PlatformError, NotOnlineError or RefusedError."""
    async with _owner(hub, data, robot) as (driver, card):
        await driver.call("DELETE", f"/api/robots/{card['robot']}")


async def privacy(hub: str, data: Path, robot: str, private: bool | None, readers: Sequence[str]) -> dict[str, Any]:
    """Decide whether what is driven with a robot is private, and who may read it; None only asks. Return what it is.

    Raises PlatformError, NotOnlineError or RefusedError.
    """
    async with _owner(hub, data, robot) as (driver, card):
        path = f"/api/robots/{card['robot']}/privacy"
        if private is None:
            found: dict[str, Any] = await driver.call("GET", path)
        else:
            found = await driver.call("PUT", path, {"private": private, "readers": list(readers)})
        return found


@asynccontextmanager
async def _owner(hub: str, data: Path, robot: str) -> AsyncIterator[tuple[Driver, dict[str, Any]]]:
    """Sign in as the owner whose key is below `data`; yield the connection and the hub's card of the robot named.

    Another owner's robot may have the same name: their own is meant.
    """
    path = data / "keys" / "owner.key"
    if not path.is_file():
        raise NotOnlineError(f"There is no owner's key in {path}. Name the folder of the robot's host with --data.")
    async with signed_in(hub, load_key(path)) as driver:
        robots = await driver.call("GET", "/api/robots")
        own = [one for one in robots if one["owner"] == driver.wallet.address]
        yield driver, one_of(own if any(robot in (one["robot"], one["name"]) for one in own) else robots, robot)
