"""A file that kills a worker costs that file its verification, and nothing else."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import pytest

from armshare.platform.workers import opened_workers


def test_a_worker_that_dies_is_replaced():
    with opened_workers() as workers:
        first = workers.submit(os.getpid).result()
        with pytest.raises(BrokenProcessPool):
            workers.submit(os._exit, 139).result()
        second = workers.submit(os.getpid).result()
    assert second != first


KEEPS_A_WORKER = """
import os, sys
from armshare.platform.workers import Workers

if __name__ == "__main__":
    print(Workers().submit(os.getpid).result(), flush=True)
    sys.stdin.read()
"""


def test_a_worker_ends_with_a_hub_that_is_killed(tmp_path: Path) -> None:
    """It had stayed for ever, with its memory, and with the process that reads files for it."""
    script = tmp_path / "keeps_a_worker.py"
    script.write_text(KEEPS_A_WORKER)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe) as hub:
        assert hub.stdout is not None
        worker = int(hub.stdout.readline())
        its_end = os.pidfd_open(worker)
        hub.kill()
        try:
            assert select.select([its_end], [], [], 60)[0], "the worker is still there"
        finally:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(its_end, signal.SIGKILL)
            os.close(its_end)
