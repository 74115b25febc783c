"""The hub's own keys, which wrap the keys of private episodes: a file of lines, `NAME HEX`, whose last is in use.

Only its owner may read the file. It is read whenever a key is wrapped or unwrapped, so that a hub and its workers go on
while a new key takes the place of an old one.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.file.sealed import KEY_BYTES
from recorder.hub.store.store import StoreLostError
from teleop.files import move
from teleop.identity import kept_secret

_NONCE_BYTES: Final = 12
_ABOUT: Final = b"armshare episode key 1 "


@dataclass(frozen=True, slots=True)
class Wrapped:
    """An episode's key as the tables have it: nothing without the hub's own."""

    episode: str
    master: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Masters:
    """The file of the hub's keys, made with the first use. It can be sent to another process of this machine."""

    path: Path

    def wrap(self, episode: str, key: bytes) -> Wrapped:
        """Wrap an episode's key by the one in use."""
        name, master = list(self._read().items())[-1]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return Wrapped(episode, name, nonce + AESGCM(master).encrypt(nonce, key, _ABOUT + episode.encode()))

    def unwrap(self, wrapped: Wrapped) -> bytes:
        """Return an episode's key; raise StoreLostError if the hub's own is not in the file, or is another."""
        master = self._read().get(wrapped.master)
        if master is None:
            said = f"{self.path} has no key {wrapped.master}, which opens {wrapped.episode}"
            raise StoreLostError(f"{said}: restore the file from a backup")
        nonce, data = wrapped.data[:_NONCE_BYTES], wrapped.data[_NONCE_BYTES:]
        try:
            return AESGCM(master).decrypt(nonce, data, _ABOUT + wrapped.episode.encode())
        except (InvalidTag, ValueError) as error:
            raise StoreLostError(f"the key of {wrapped.episode} is not what {self.path} wrapped") from error

    def renew(self) -> str:
        """Make another key, which is in use from now on; return its name."""
        name = f"k{int(list(self._read())[-1].removeprefix('k')) + 1}"
        self._write([*self._lines(), _line(name)])
        return name

    def forget_before(self, name: str) -> None:
        """Forget all keys but this one and the one before it: what is being wrapped now may be wrapped by that."""
        lines = self._lines()
        at = next(number for number, line in enumerate(lines) if line.startswith(f"{name} "))
        self._write(lines[max(0, at - 1) :])

    def _read(self) -> dict[str, bytes]:
        lines = kept_secret(self.path, lambda: _line("k1")).split("\n")
        return {name: bytes.fromhex(key) for name, key in (line.split() for line in lines if line.strip())}

    def _lines(self) -> list[str]:
        return [line for line in self.path.read_text().split("\n") if line.strip()]

    def _write(self, lines: list[str]) -> None:
        beside = self.path.with_name(self.path.name + ".tmp")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        move(beside, self.path)


def _line(name: str) -> str:
    return f"{name} {secrets.token_bytes(KEY_BYTES).hex()}"
