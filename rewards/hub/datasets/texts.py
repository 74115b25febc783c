"""What people write about a data set: bounded, and without what nobody can see."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from rewards.hub.datasets.refusals import LicenceError, TextInvalidError
from sim.words import listed

TITLE_MAX: Final = 200
DESCRIPTION_MAX: Final = 20_000
REASON_MAX: Final = 1000
LICENCES: Final = (
    "CC0-1.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-NC-ND-4.0",
    "CDLA-Permissive-2.0",
    "CDLA-Sharing-1.0",
    "ODC-By-1.0",
    "ODbL-1.0",
    "PDDL-1.0",
    "Apache-2.0",
    "MIT",
)
"""SPDX's identifiers of licences that people give data under."""
_OWN: Final = re.compile(r"LicenseRef-[A-Za-z0-9.-]{1,50}")
"""How SPDX writes a licence that it does not list."""


@dataclass(frozen=True, slots=True)
class Described:
    """What people read of a data set before they take it."""

    title: str
    description: str
    licence: str


def described(title: str, description: str, licence: str) -> Described:
    """Return a description; raise TextInvalidError or LicenceError."""
    if licence not in LICENCES and not _OWN.fullmatch(licence):
        own = "LicenseRef-NAME for terms of your own, which the description then states"
        raise LicenceError(f"expected a licence for data, {listed(LICENCES, 'or')}, or {own}; got {licence[:80]!r}")
    title = text("title", title, TITLE_MAX)
    if not title or "\n" in title:
        raise TextInvalidError("expected a title of one line: say in a few words what the data set is")
    return Described(title, text("description", description, DESCRIPTION_MAX), licence)


def text(name: str, given: str, most: int) -> str:
    """Return a text without spaces at its ends; raise TextInvalidError."""
    given = given.replace("\r\n", "\n").strip()
    if len(given) > most:
        raise TextInvalidError(f"expected a {name} of at most {most} characters, got {len(given)}")
    unseen = [one for one in given if one not in "\n\t" and unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Cn")]
    if unseen:
        raise TextInvalidError(f"expected a {name} without characters that nobody can see, got {unseen[0]!r}")
    return given
