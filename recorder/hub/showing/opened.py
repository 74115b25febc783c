"""A verified episode's file, open to be shown: checked as every file is, and nothing read of it yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recorder.file.episode import Inspected, inspect, open_episode, opened


@contextmanager
def shown(file: Path) -> Iterator[Inspected]:
    """Yield what an episode's file holds; raise an EpisodeError if it is not one."""
    descriptor = open_episode(file)
    try:
        with opened(descriptor, file.name) as read:
            yield inspect(read)
    finally:
        os.close(descriptor)
