"""One version of a data set: which episodes, in which splits, under which licence; never changed once it is made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from recorder.file.meta import SafeInt, Sha256, canonical

FORMAT: Final = "armshare.dataset/1"
_PART: Final = r"[a-z0-9][a-z0-9_-]{0,38}[a-z0-9]"
NAME: Final = re.compile(rf"{_PART}/{_PART}")
"""A data set's name, as the Hugging Face Hub writes them: whose it is, a slash, and what it is called."""


class DatasetNameError(ValueError):
    """This cannot be a data set's name."""


class Split(StrEnum):
    """What an episode is for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


PPM: Final = 1_000_000
Share = Annotated[int, msgspec.Meta(ge=0, le=PPM)]


class Shares(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the episodes are shared out, in millionths that add up to one; `splits.py` says which goes where."""

    train: Share = PPM
    validation: Share = 0
    test: Share = 0

    def __post_init__(self) -> None:
        """Raise ValueError unless they add up to one."""
        if self.train + self.validation + self.test != PPM:
            said = f"{self.train}, {self.validation} and {self.test}"
            raise ValueError(f"expected shares that add up to {PPM} millionths, got {said}")


class ChangeKind(StrEnum):
    """How a version differs from the one before it."""

    CREATED = "created"
    APPENDED = "appended"
    WITHDRAWN = "withdrawn"
    MERGED = "merged"
    DESCRIBED = "described"


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a version was made."""

    kind: ChangeKind
    reason: str
    """A sentence, which may be empty; for `withdrawn`, whose consent ended and why, as far as they said."""
    merged: tuple[str, ...] = ()
    """Digests of the versions that were merged into this one."""


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One episode of a version, by what no hub can change about it."""

    episode: str
    digest: str
    """The signed digest, 0x-hex: what the receipt and the log name."""
    sha256: Sha256
    """Of `episode.h5`."""
    size: SafeInt
    """Bytes of `episode.h5`."""
    split: Split


class DatasetVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of a data set. Its digest is the SHA-256 of its canonical bytes (RFC 8785)."""

    format: str
    name: str
    version: SafeInt
    """1, 2, ..."""
    previous: str
    """The digest of the version before it; empty for the first."""
    title: str
    description: str
    licence: str
    """An SPDX identifier, such as CC-BY-4.0."""
    owner: str
    """The wallet that made it."""
    made_ms: SafeInt
    change: Change
    episodes: tuple[Member, ...]
    """In the order of the data set: an episode's place here is its index in every export."""
    shares: Shares = Shares()
    """The shares by which the splits were given."""

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return canonical(self)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, hex."""
        return hashlib.sha256(self.encode()).hexdigest()


_EPISODES: Final = b',"episodes":[],"format":'


def document(head: DatasetVersion, members: Iterable[Member]) -> Iterator[bytes]:
    """Yield the canonical bytes of a version with these members, piece by piece; `head` is the rest of it."""
    before, _, after = msgspec.structs.replace(head, episodes=()).encode().partition(_EPISODES)
    yield before + b',"episodes":['
    for at, member in enumerate(members):
        yield (b"," if at else b"") + _member(member)
    yield b'],"format":' + after


def _member(one: Member) -> bytes:
    """Return a member's canonical bytes: no value of it needs to be escaped."""
    said = f'"digest":"{one.digest}","episode":"{one.episode}","sha256":"{one.sha256}","size":{one.size}'
    return f'{{{said},"split":"{one.split.value}"}}'.encode()


def require_name(name: str) -> str:
    """Return the name; raise DatasetNameError, which says how names are written."""
    if not NAME.fullmatch(name):
        raise DatasetNameError(
            f"a data set's name is like lab/lift, in small letters, digits, - and _ (2 to 40 each): got {name[:90]!r}"
        )
    return name
