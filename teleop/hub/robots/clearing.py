"""Whether a clear releases a robot: its owner signed it, for what is latched there now. Its host checks that again."""

from __future__ import annotations

from teleop.hub.leases.docks import Dock, Seat
from teleop.identity import CLEAR_ROBOT, Domain, SignatureError
from teleop.wire.signalling import Clear, SignallingError


def require_clear(clear: Clear, seat: Seat, dock: Dock, domain: Domain) -> None:
    """Raise SignallingError (`not_owner` or `clear`), with what was expected, unless this clears the robot."""
    if dock.owner != seat.address:
        told = f"only the owner, {dock.owner}, can release this robot, and you are {seat.address}"
        raise SignallingError("not_owner", told)
    if dock.stop is None:
        raise SignallingError("clear", "expected a robot that is stopped or broken: there is nothing to clear")
    if clear.stop != dock.stop:
        told = f"expected a clear of what is latched now, {dock.stop}, got {clear.stop}"
        raise SignallingError("clear", f"{told}; the robot was stopped, or broke, again: look at it, then clear that")
    try:
        CLEAR_ROBOT.require(dock.owner, domain, {"robot": dock.address, "stop": clear.stop}, clear.signature)
    except SignatureError as error:
        raise SignallingError("clear", f"{error}; sign the clear with the owner's wallet") from error
