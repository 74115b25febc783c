"""What a worker process does with a stored file in the tests; it loads nothing else."""

from __future__ import annotations

import hashlib
import os

from recorder.hub.store import StoredFile


def opened(file: StoredFile) -> tuple[int, str]:
    """Return which process opened a file, and what it found there."""
    with file.local() as path:
        return os.getpid(), hashlib.sha256(path.read_bytes()).hexdigest()
