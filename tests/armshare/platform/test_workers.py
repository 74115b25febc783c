"""A file that kills a worker costs that file its verification, and nothing else."""

from __future__ import annotations

import os
from concurrent.futures.process import BrokenProcessPool

import pytest

from armshare.platform.workers import opened_workers


def test_a_worker_that_dies_is_replaced():
    with opened_workers() as workers:
        first = workers.submit(os.getpid).result()
        with pytest.raises(BrokenProcessPool):
            workers.submit(os._exit, 139).result()
        second = workers.submit(os.getpid).result()
    assert second != first
