"""The log's head as text: a C2SP checkpoint in a signed note, by one Ed25519 key.

Sources: C2SP tlog-checkpoint and signed-note. The key id is SHA-256(name || 0x0A || 0x01 || public key)[:4].
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from teleop.identity import kept_secret

_ALGORITHM: Final = b"\x01"
_SIGNED_BY: Final = "\N{EM DASH} "


class CheckpointError(ValueError):
    """A checkpoint is malformed, from another log, or not signed by the log's key."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: how many entries it has, and their tree hash."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """The signed text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class LogKey:
    """The key that signs checkpoints; `origin` names the log, without spaces or '+'."""

    origin: str
    private: Ed25519PrivateKey

    def __post_init__(self) -> None:
        """Refuse an origin that a signed note cannot carry."""
        if not self.origin or "+" in self.origin or any(c.isspace() for c in self.origin):
            raise CheckpointError(f"expected an origin without spaces or '+', got {self.origin!r}")

    @property
    def verifier(self) -> str:
        """The public key as C2SP's verifier key: origin, key id, base64."""
        public = _ALGORITHM + self.private.public_key().public_bytes_raw()
        return f"{self.origin}+{_key_id(self.origin, public).hex()}+{base64.b64encode(public).decode()}"

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the signed note."""
        public = _ALGORITHM + self.private.public_key().public_bytes_raw()
        signature = _key_id(self.origin, public) + self.private.sign(checkpoint.body.encode())
        return f"{checkpoint.body}\n{_SIGNED_BY}{self.origin} {base64.b64encode(signature).decode()}\n"


def load_log_key(path: Path, origin: str) -> LogKey:
    """Return the key kept in `path`; create it, readable by the owner only, if it does not exist."""
    kept = kept_secret(path, lambda: Ed25519PrivateKey.generate().private_bytes_raw().hex())
    return LogKey(origin, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(kept)))


def open_checkpoint(note: str, verifier: str) -> Checkpoint:
    """Return what a signed note says; raise CheckpointError unless the key of `verifier` signed it."""
    origin, key_id, public = _read_verifier(verifier)
    body, _, signatures = note.partition("\n\n")
    signature = _signature(signatures, origin, key_id)
    try:
        public.verify(signature, (body + "\n").encode())
    except InvalidSignature as error:
        raise CheckpointError(f"the checkpoint is not signed by {verifier}") from error
    checkpoint = _read_body(body + "\n")
    if checkpoint.origin != origin:
        raise CheckpointError(f"expected the log {origin!r}, got {checkpoint.origin!r}")
    return checkpoint


def _read_body(body: str) -> Checkpoint:
    lines = body.split("\n")
    try:
        checkpoint = Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
    except (IndexError, ValueError) as error:
        raise CheckpointError(f"expected origin, size and root on three lines, got {body[:200]!r}") from error
    if checkpoint.body != body or len(checkpoint.root) != hashlib.sha256().digest_size:
        raise CheckpointError(f"expected origin, size and a 32-byte root on three lines, got {body[:200]!r}")
    return checkpoint


def _signature(lines: str, origin: str, key_id: bytes) -> bytes:
    for line in lines.split("\n"):
        name, _, encoded = line.removeprefix(_SIGNED_BY).partition(" ")
        if not line.startswith(_SIGNED_BY) or name != origin:
            continue
        try:
            data = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise CheckpointError(f"expected a base64 signature, got {encoded[:100]!r}") from error
        if base64.b64encode(data).decode() != encoded:
            raise CheckpointError(f"expected base64 without spare bits, got {encoded[:100]!r}")
        if data[:4] == key_id:
            return data[4:]
    raise CheckpointError(f"expected a signature line of {origin!r} with key id {key_id.hex()}, found none")


def _read_verifier(verifier: str) -> tuple[str, bytes, Ed25519PublicKey]:
    try:
        origin, key_id, encoded = verifier.split("+", 2)
        public = base64.b64decode(encoded, validate=True)
        found = bytes.fromhex(key_id)
        key = Ed25519PublicKey.from_public_bytes(public[1:])
    except ValueError as error:
        raise CheckpointError(f"expected origin+key id+base64, got {verifier[:200]!r}: {error}") from error
    if public[:1] != _ALGORITHM or found != _key_id(origin, public):
        raise CheckpointError(f"expected an Ed25519 verifier key whose id is its hash, got {verifier[:200]!r}")
    return origin, found, key


def _key_id(origin: str, public: bytes) -> bytes:
    return hashlib.sha256(origin.encode() + b"\n" + public).digest()[:4]
