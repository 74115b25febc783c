"""What a registration must prove: the owner's wallet and the robot's own key signed it, just now, for this hub.

It reads and checks; `Registry` keeps the nonces and the robots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from teleop.clock import compared
from teleop.identity import ROBOT_REGISTRATION, Domain, SignatureError, require_address
from teleop.wire.descriptor import Name

NONCE_MS: Final = 10 * 60_000
"""How long a nonce can be used."""
CLOCKS_MS: Final = 5 * 60_000
"""How far the time of a registration may be from the hub's clock."""


class RegistrationError(SignatureError):
    """A registration's values do not fit, its owner did not sign it, or the robot is another wallet's."""


class RobotSignatureError(RegistrationError):
    """The robot's own key did not sign the registration."""


class RegistrationNonceError(RegistrationError):
    """The registration's nonce was not given for this robot, was used before, or is too old."""


class ClockError(RegistrationError):
    """The registration's time is too far from the hub's clock."""


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values of a `RobotRegistration`, at lengths that a card can show."""

    robot: str
    owner: str
    name: Name
    model: Name
    simulated: bool
    nonce: str
    issued_ms: int = msgspec.field(name="issuedMs")


_REGISTRATION: Final = msgspec.json.Decoder(Registration)


def require_registration(
    values: Mapping[str, Any], signature: str, robot_signature: str, domain: Domain, now_ms: int
) -> Registration:
    """Return what a registration says, once both keys are proven. Whether its nonce counts is left to be looked up.

    Raises RegistrationError, RobotSignatureError or ClockError.
    """
    said = _read(values)
    if not robot_signature:
        raise RobotSignatureError(
            "expected a registration that the robot's key signed, too (`robot_signature`), over a nonce of "
            "POST /api/robots/challenge; update the robot's host"
        )
    ahead_ms = said.issued_ms - now_ms
    if abs(ahead_ms) > CLOCKS_MS:
        raise ClockError(
            f"expected issuedMs within {CLOCKS_MS // 60_000} minutes of the hub's clock; "
            f"that of the robot's computer {compared(ahead_ms, 'the hub')}: set it, and register again"
        )
    _require_signed(RegistrationError, said.owner, "the owner's wallet", values, signature, domain)
    _require_signed(RobotSignatureError, said.robot, "the robot's key", values, robot_signature, domain)
    return said


def _read(values: Mapping[str, Any]) -> Registration:
    try:
        said = _REGISTRATION.decode(msgspec.json.encode(values))
        require_address(said.robot)
        require_address(said.owner)
    except (msgspec.ValidationError, RecursionError, SignatureError) as error:
        raise RegistrationError(f"expected a RobotRegistration's values: {error}") from error
    return said


def _require_signed(
    kind: type[RegistrationError], signer: str, whose: str, values: Mapping[str, Any], signature: str, domain: Domain
) -> None:
    try:
        ROBOT_REGISTRATION.require(signer, domain, values, signature)
    except SignatureError as error:
        raise kind(f"{error}; sign these values with {whose}") from error
