"""Which operators' grants this robot has accepted: each is good for one use, whatever a hub says, even after a restart.

Part of teleop; exports `UsedGrants`. A grant is remembered until it expires; from then on it is refused for that.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from teleop.files import sync_folder, write_atomic

MOST: Final = 20_000
"""How many grants are remembered. While all of them are still valid, no other is accepted."""


class GrantUsedError(Exception):
    """A grant cannot be used: it was used before, or this use cannot be recorded."""


class UsedGrants:
    """The nonces of the used grants, in memory and in a file, one line each: when it expires (ms), and the nonce."""

    def __init__(self, path: Path | None = None, most: int = MOST) -> None:
        """Read what is remembered; without a `path`, grants are remembered for the life of this object."""
        self._path, self._most = path, most
        text = path.read_text(errors="replace") if path is not None and path.exists() else ""
        self._until_ms = dict(_read(line) for line in text.splitlines())
        self._until_ms.pop("", None)
        self._torn = bool(text) and not text.endswith("\n")
        """Whether the file may end in the middle of a line, and is rewritten before anything is added."""

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._until_ms)

    def use(self, nonce: str, not_after_ms: int, now_ms: int) -> None:
        """Use a grant, once; raise GrantUsedError."""
        key = nonce.lower()
        if not key or not key.isalnum():
            raise GrantUsedError(f"expected a grant with a nonce, got {nonce[:80]!r}; sign in and join again")
        if key in self._until_ms:
            raise GrantUsedError(f"expected a grant that has not been used yet, got nonce {nonce}; join again")
        pruned = {known: until_ms for known, until_ms in self._until_ms.items() if until_ms >= now_ms}
        if len(pruned) >= self._most:
            raise GrantUsedError(f"expected fewer than {self._most} grants that have not expired; join again later")
        added = {**pruned, key: not_after_ms}
        try:
            self._keep(added, key, whole=self._torn or len(pruned) < len(self._until_ms))
        except OSError as error:
            self._torn = True
            raise GrantUsedError(f"the use of this grant cannot be recorded: {error}") from error
        self._until_ms = added

    def _keep(self, added: dict[str, int], key: str, *, whole: bool) -> None:
        if self._path is None:
            return
        if not whole:
            _append(self._path, f"{added[key]} {key}\n")
            return
        write_atomic(self._path, "".join(f"{until_ms} {nonce}\n" for nonce, until_ms in added.items()).encode())
        self._torn = False


def _read(line: str) -> tuple[str, int]:
    """Return a nonce and when it expires; an empty nonce for a line that a crash cut short."""
    until_ms, _, nonce = line.partition(" ")
    return (nonce, int(until_ms)) if nonce and until_ms.isdecimal() else ("", 0)


def _append(path: Path, text: str) -> None:
    new = not path.exists()
    with path.open("a") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)
