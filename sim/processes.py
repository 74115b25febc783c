"""What a worker process owes the one that started it."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from typing import Final

WORKERS: Final = min(os.cpu_count() or 1, 8)
"""How many processes share a job unless somebody says: each has a simulation, or a policy, in its memory."""


def end_with_parent(end: Callable[[], object] = lambda: os._exit(1)) -> None:
    """Call `end` in this process once the one that started it is gone, even if that was killed and could end nobody.

    By default, this process ends at once.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        end()

    threading.Thread(target=follow, name="parent watch", daemon=True).start()
