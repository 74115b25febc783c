"""What registers a robot: the statement that its owner's wallet and its own key sign, each proving itself.

Part of teleop; exports `registration` and `signed`. The hub gives the nonce, once: `POST /api/robots/challenge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth_account.signers.local import LocalAccount

from sim.robot import Robot, Tasks
from teleop.host.tasks import tasks_of
from teleop.identity import ROBOT_REGISTRATION, Domain


def registration(
    key: LocalAccount, owner: str, name: str, robot: Robot | Tasks, nonce: str, issued_ms: int
) -> Mapping[str, Any]:
    """Return the values of a `RobotRegistration`. `issued_ms` is the wall clock; the hub allows five minutes."""
    spec = tasks_of(robot).robot.spec
    return {
        "robot": key.address,
        "owner": owner,
        "name": name,
        "model": spec.model.name,
        "simulated": spec.simulated,
        "nonce": nonce,
        "issuedMs": issued_ms,
    }


def signed(values: Mapping[str, Any], owner: LocalAccount, key: LocalAccount, domain: Domain) -> dict[str, Any]:
    """Return the body of `POST /api/robots`: the values, signed by the owner's wallet and by the robot's key."""
    return {
        "registration": dict(values),
        "signature": ROBOT_REGISTRATION.sign(owner, domain, values),
        "robot_signature": ROBOT_REGISTRATION.sign(key, domain, values),
    }
