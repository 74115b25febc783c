"""The folder of four files that holds an episode (FORMAT.md), and its signatures.json and receipt.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

from recorder.file.episode import Episode, EpisodeError, read_episode
from recorder.file.meta import Address, Decimal, Hex32, Signature, canonical
from recorder.proof.description import hash_file
from recorder.proof.manifest import EPISODE_FILE, MANIFEST_BYTES_MAX
from teleop.identity import Domain

MANIFEST_FILE: Final = "manifest.json"
SIGNATURES_FILE: Final = "signatures.json"
RECEIPT_FILE: Final = "receipt.json"
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

    def encode(self) -> bytes:
        """Return canonical JSON."""
        return canonical(self)


RECEIPT_JSON: Final = msgspec.json.Decoder(Receipt)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that a verifier looks at, read once: an absent file is None, an unreadable one is its error."""

    manifest: bytes | None
    signatures: bytes | None
    receipt: bytes | None
    size: int | None
    """Size of episode.h5, bytes."""
    sha256: str | None
    """SHA-256 of episode.h5, hex."""
    episode: Episode | EpisodeError | None


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle's files; a missing or faulty one is a value here, and a gate refuses it later."""
    file = folder / EPISODE_FILE
    there = file.is_file()
    return Bundle(
        manifest=_small(folder / MANIFEST_FILE),
        signatures=_small(folder / SIGNATURES_FILE),
        receipt=_small(folder / RECEIPT_FILE),
        size=file.stat().st_size if there else None,
        sha256=hash_file(file) if there else None,
        episode=_episode(file) if there else None,
    )


def domain_meta(domain: Domain) -> DomainMeta:
    """Return a domain in the form used in signatures.json."""
    return DomainMeta(domain.chain_id, domain.vault)


def unsigned(digest: str, domain: Domain, robot_signature: str) -> Signatures:
    """Return signatures.json as the host makes it: the operator has not signed yet."""
    return Signatures(digest, domain_meta(domain), None, robot_signature)


def _episode(file: Path) -> Episode | EpisodeError:
    try:
        return read_episode(file)
    except EpisodeError as error:
        return error


def _small(path: Path) -> bytes | None:
    if not path.is_file() or path.stat().st_size > SMALL_FILE_BYTES_MAX:
        return None
    return path.read_bytes()
