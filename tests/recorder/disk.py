"""A disk that a test fills: from then on nothing becomes durable, as when the file system has no room left."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from teleop import files


class Disk:
    """What is synced fails while `full`; before that, whatever has been written is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.error = errno.ENOSPC
        self.writes_left = 10**9
        """How many more syncs succeed before it is full by itself."""
        self.committed = threading.Semaphore(0)
        """Counts what became durable in journals."""
        sync, sync_data = os.fsync, os.fdatasync

        def commit(descriptor: int) -> None:
            sync_data(descriptor)
            self.committed.release()

        monkeypatch.setattr(os, "fsync", self._on(sync))
        monkeypatch.setattr(files, "_sync_data", self._on(commit))

    def _on(self, sync):
        def synced(descriptor: int) -> None:
            self.full = self.full or self.writes_left <= 0
            self.writes_left -= 1
            if self.full:
                raise OSError(self.error, os.strerror(self.error))
            sync(descriptor)

        return synced

    def frees(self) -> None:
        """Make room."""
        self.full, self.writes_left = False, 10**9
