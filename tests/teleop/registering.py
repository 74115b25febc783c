"""How the tests register a robot: with a nonce of the hub's, signed by its owner and by its own key."""

from __future__ import annotations

from typing import Any

from eth_account.signers.local import LocalAccount

from sim.robot import Robot
from teleop.host.registration import registration, signed
from teleop.hub.robots.registry import Registry


def body_for(registry: Registry, owner: LocalAccount, key: LocalAccount, **changed: Any) -> dict[str, Any]:
    """Return the body of `POST /api/robots`, with some of the values changed before both keys sign them."""
    values = {
        "robot": key.address,
        "owner": owner.address,
        "name": "robot-1",
        "model": "panda",
        "simulated": True,
        "nonce": registry.challenge(key.address)[0],
        "issuedMs": registry._now_ms(),
    }
    return signed(values | changed, owner, key, registry._domain)


def register(registry: Registry, owner: LocalAccount, key: LocalAccount, **changed: Any) -> None:
    """Register a robot."""
    body = body_for(registry, owner, key, **changed)
    registry.register(body["registration"], body["signature"], body["robot_signature"])


def register_robot(registry: Registry, owner: LocalAccount, key: LocalAccount, name: str, robot: Robot) -> None:
    """Register this one, as its host would."""
    nonce, _until_ms = registry.challenge(key.address)
    body = signed(
        registration(key, owner.address, name, robot, nonce, registry._now_ms()), owner, key, registry._domain
    )
    registry.register(body["registration"], body["signature"], body["robot_signature"])
