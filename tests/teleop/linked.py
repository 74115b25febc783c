"""Commands as an operator's client sends them: each holds the hash of the one before it."""

from __future__ import annotations

from dataclasses import replace

from teleop.wire.messages import FIRST, Command, digest_of


class Linked:
    """One client's commands, linked within each epoch by their numbers."""

    def __init__(self) -> None:
        self._sent: dict[tuple[int, int], bytes] = {}

    def __call__(self, command: Command) -> bytes:
        """Return a command's bytes, linked to those that came under the number before its own."""
        before = self._sent.get((command.epoch, command.seq - 1), FIRST)
        data = replace(command, before=before).encode()
        self._sent.setdefault((command.epoch, command.seq), digest_of(data))
        return data
