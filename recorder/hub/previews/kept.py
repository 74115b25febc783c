"""The folder of previews: files that can be made again, so the ones that nobody has looked at for longest go."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Final

from teleop.files import write_atomic

BYTES_MAX: Final = 1 << 30
"""About 40,000 previews."""
FILM: Final = ".mp4"
STILL: Final = ".webp"
_USED_S: Final = 3600.0
"""How often it is noted on disk that a file was looked at, which is read when the hub starts."""


class Kept:
    """A folder of at most so many bytes. Its methods may block; safe from any thread."""

    def __init__(self, folder: Path, bytes_max: int = BYTES_MAX) -> None:
        self._folder, self._bytes_max = folder, bytes_max
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] | None = None
        """By name, what was not looked at for longest first; None until the folder is read."""
        self._total = 0

    def get(self, name: str) -> Path | None:
        """Return a file if it is there, which is looked at now."""
        path = self._folder / name
        with self._lock:
            sizes = self._read()
            if name not in sizes:
                return None
            try:
                seen_s = path.stat().st_mtime
                if time.time() - seen_s > _USED_S:
                    os.utime(path)
            except FileNotFoundError:
                self._total -= sizes.pop(name)
                return None
            sizes.move_to_end(name)
        return path

    def put(self, name: str, data: bytes) -> None:
        """Keep a file, and let go of others until there is room."""
        with self._lock:
            sizes = self._read()
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self._folder / name, data)
            self._total += len(data) - sizes.pop(name, 0)
            sizes[name] = len(data)
            while self._total > self._bytes_max and len(sizes) > 1:
                oldest, size = sizes.popitem(last=False)
                (self._folder / oldest).unlink(missing_ok=True)
                self._total -= size

    def _read(self) -> OrderedDict[str, int]:
        if self._sizes is None:
            found = [(path.stat(), path.name) for path in self._folder.glob("*") if path.suffix in (FILM, STILL)]
            found.sort(key=lambda one: one[0].st_mtime_ns)
            self._sizes = OrderedDict((name, stat.st_size) for stat, name in found)
            self._total = sum(self._sizes.values())
        return self._sizes
