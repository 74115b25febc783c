"""The folder of four files that holds an episode (FORMAT.md), and its signatures.json and receipt.json."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec

from recorder.file.apart import reader
from recorder.file.episode import Episode, EpisodeError
from recorder.file.meta import Address, Decimal, Hex32, Signature, canonical
from recorder.proof.manifest import EPISODE_FILE, MANIFEST_BYTES_MAX
from teleop.files import NotRegularError, open_regular
from teleop.identity import Domain

MANIFEST_FILE: Final = "manifest.json"
SIGNATURES_FILE: Final = "signatures.json"
RECEIPT_FILE: Final = "receipt.json"
SCORE_FILE: Final = "score.json"
"""May lie beside them; nobody signs it."""
BUNDLE_FILES: Final = (EPISODE_FILE, MANIFEST_FILE, SIGNATURES_FILE, RECEIPT_FILE)
SMALL_FILE_BYTES_MAX: Final = MANIFEST_BYTES_MAX


class DomainMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The EIP-712 domain that was signed under."""

    chain_id: int
    vault: Address


class Signatures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """signatures.json."""

    digest: Hex32
    domain: DomainMeta
    operator: Signature | None
    robot: Signature

    def encode(self) -> bytes:
        """Return canonical JSON."""
        return canonical(self)


SIGNATURES_JSON: Final = msgspec.json.Decoder(Signatures)


class TrustClass(StrEnum):
    """What a verified episode rests on."""

    REPLAYED = "replayed"
    """A simulation that the hub has reproduced to the last bit."""
    WITNESSED = "witnessed"
    """A real robot's: that it happened as recorded is its host's word."""


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """receipt.json."""

    checkpoint: str
    digest: Hex32
    episode: str
    hub: Address
    inclusion: Annotated[list[Hex32], msgspec.Meta(max_length=64)]
    log_index: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    log_origin: str
    received_ms: Decimal
    signature: Signature
    trust: TrustClass | msgspec.UnsetType = msgspec.UNSET
    """Signed too; absent in a receipt of an earlier release, which did not say it."""

    def encode(self) -> bytes:
        """Return canonical JSON."""
        return canonical(self)


RECEIPT_JSON: Final = msgspec.json.Decoder(Receipt)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that a verifier looks at, read once: an absent file is None, an unreadable one is its error.

    Its file is hashed, and only `opened` parses it: whoever has not signed it gets no further.
    """

    manifest: bytes | None
    signatures: bytes | None
    receipt: bytes | None
    size: int | None
    """Size of episode.h5, bytes."""
    sha256: str | None
    """SHA-256 of episode.h5, hex."""
    episode: Episode | EpisodeError | None
    """None also until `opened`."""
    file: Path | None = None
    """Where episode.h5 is."""


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle's documents and hash its file; a missing one is a value here, and a gate refuses it later.

    Anything in a file's place that is not a regular file counts as missing.
    """
    file = folder / EPISODE_FILE
    size, sha256 = hashed(file)
    return Bundle(
        manifest=read_small(folder / MANIFEST_FILE),
        signatures=read_small(folder / SIGNATURES_FILE),
        receipt=read_small(folder / RECEIPT_FILE),
        size=size,
        sha256=sha256,
        episode=None,
        file=None if size is None else file,
    )


def opened(bundle: Bundle, *, plain: bool = False) -> Bundle:
    """Return a bundle with its file read, in a process of its own; raise ReaderLostError if that was lost.

    With `plain`, a file that is not as the writer makes it is faulty.
    """
    if bundle.file is None or bundle.episode is not None:
        return bundle
    try:
        return dataclasses.replace(bundle, episode=reader().read(bundle.file, plain=plain))
    except EpisodeError as error:
        return dataclasses.replace(bundle, episode=error)


def domain_meta(domain: Domain) -> DomainMeta:
    """Return a domain in the form used in signatures.json."""
    return DomainMeta(domain.chain_id, domain.vault)


def unsigned(digest: str, domain: Domain, robot_signature: str) -> Signatures:
    """Return signatures.json as the host makes it: the operator has not signed yet."""
    return Signatures(digest, domain_meta(domain), None, robot_signature)


def hashed(path: Path) -> tuple[int | None, str | None]:
    """Return the size and the SHA-256 of a file, both None if there is no regular file."""
    try:
        descriptor = open_regular(path)
    except (FileNotFoundError, NotRegularError):
        return None, None
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        return size, hashlib.file_digest(file, "sha256").hexdigest()


def read_small(path: Path) -> bytes | None:
    """Return one of a bundle's documents; None if it is missing, no regular file, or too long."""
    try:
        descriptor = open_regular(path)
    except (FileNotFoundError, NotRegularError):
        return None
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(SMALL_FILE_BYTES_MAX + 1)
    return data if len(data) <= SMALL_FILE_BYTES_MAX else None
