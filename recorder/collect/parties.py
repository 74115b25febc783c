"""Who drives, and what is driven, if no hub says so: keys that are kept beside the episodes, and a grant of their own.

Part of recorder; exports `Parties`, whose signatures any verifier checks like those of a hub's robot and operator.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eth_account.signers.local import LocalAccount

from recorder.proof.hubless import NO_HUB
from teleop.clock import now_ms
from teleop.identity import SESSION_GRANT, load_key, session_key
from teleop.wire.signalling import Grant, LeaseOrder

EPOCH: Final = 1
_GRANT_MS: Final = 30 * 24 * 3_600_000
"""How long a grant lasts: as long as anybody would let a program run."""


@dataclass(frozen=True, slots=True)
class Parties:
    """The robot's key, and the operator's, who has granted the robot's task to the session key."""

    robot: LocalAccount
    session: LocalAccount
    lease: LeaseOrder
    """What a hub would order: who may drive, under which grant."""

    @property
    def operator(self) -> str:
        """The operator's address."""
        return self.lease.operator


def parties(keys: Path, task: str, wallet: Path | None = None) -> Parties:
    """Return who drives at a task; keys that are not in the folder `keys` are made. `wallet` is the operator's own.

    Raises KeyContentError if a key's file holds something else.
    """
    operator, robot = load_key(wallet or keys / "operator.key"), load_key(keys / "robot.key")
    nonce = "0x" + secrets.token_hex(32)
    session = session_key(operator, NO_HUB, nonce)
    grant = Grant(operator.address, session.address, robot.address, task, nonce, now_ms() + _GRANT_MS)
    signature = SESSION_GRANT.sign(operator, NO_HUB, grant.values)
    return Parties(robot, session, LeaseOrder("own", EPOCH, operator.address, grant, signature, task))
