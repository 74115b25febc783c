"""Who or what decides what a robot is asked for: a person, a script or a policy, as its operator's client says."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

NAME_MAX: Final = 200


class DriverKind(StrEnum):
    """What kind of driver it is."""

    PERSON = "person"
    SCRIPT = "script"
    """A program that nobody trained."""
    POLICY = "policy"
    """A program that was trained, or that is tried as if it were."""


class Driver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who or what drives. A program has a name, and the SHA-256 of its file or checkpoint; a person has neither."""

    kind: DriverKind
    name: Annotated[str, Meta(max_length=NAME_MAX)] = ""
    sha256: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$(?!\n)")] = ""

    def __str__(self) -> str:
        """Return it in words."""
        return f"a {self.kind} {self.name!r}, SHA-256 {self.sha256}" if self.name else f"a {self.kind}"

    @property
    def brief(self) -> str:
        """Return it in a few words, with as much of the digest as tells two of one name apart."""
        return f"the {self.kind} {self.name} ({self.sha256[:8]})" if self.name else f"a {self.kind}"

    def __post_init__(self) -> None:
        if not self.name.isprintable():
            raise ValueError(f"expected a driver's name in printable characters, got {self.name!r}")
        person = self.kind is DriverKind.PERSON
        if person != (not self.name) or person != (not self.sha256):
            raise ValueError(f"expected name and sha256 of a {self.kind}, and neither of a person, got {self.name!r}")


PERSON: Final = Driver(DriverKind.PERSON)
