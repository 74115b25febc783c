"""Whether an operator's grant opens a robot: over this connection's nonce, for one of its tasks, for a day at most."""

from __future__ import annotations

from typing import Final

from teleop.hub.leases.docks import Dock, Seat
from teleop.identity import SESSION_GRANT, Domain, SignatureError, require_address
from teleop.wire.signalling import Grant, SignallingError

GRANT_MS_MAX: Final = 24 * 3_600_000


def require_grant(grant: Grant, signature: str, seat: Seat, dock: Dock, domain: Domain, now_ms: int) -> None:
    """Raise SignallingError, with what was expected, unless the grant opens the robot at `dock` for `seat`."""
    if dock.task(grant.task) is None:
        names = [task["name"] for task in dock.descriptor["tasks"]]
        raise SignallingError("unknown_task", f"expected one of {names} at this robot, got {grant.task!r}")
    if grant.operator != seat.address or grant.nonce != seat.nonce:
        raise SignallingError("grant", f"expected a grant by {seat.address} over nonce {seat.nonce}")
    left_ms = grant.not_after_ms - now_ms
    if not 0 < left_ms <= GRANT_MS_MAX:
        found = f"{left_ms // 1000} s from now" if left_ms > 0 else f"{-left_ms // 1000} s ago"
        expected = "expected notAfterMs in the future, at most 24 hours from now"
        raise SignallingError("clock", f"{expected}, got {found} by the hub's clock; compare your clock with the hub's")
    try:
        require_address(grant.session_key)
        SESSION_GRANT.require(seat.address, domain, grant.values, signature)
    except SignatureError as error:
        raise SignallingError("grant", str(error)) from error
