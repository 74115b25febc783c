"""Commands as an operator's client sends them: each holds the hash of the one before it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from teleop.wire.messages import FIRST, Command, digest_of


class Linked:
    """One client's commands, linked within each epoch in the order in which they are given."""

    def __init__(self) -> None:
        self._before: defaultdict[int, bytes] = defaultdict(lambda: FIRST)

    def __call__(self, command: Command) -> bytes:
        """Return a command's bytes, after the one before it."""
        data = replace(command, before=self._before[command.epoch]).encode()
        self._before[command.epoch] = digest_of(data)
        return data
