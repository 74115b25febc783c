"""The command line within the test's own process: the same words and exit code, without a process's second of imports.

What it prints goes through the same `main`, so a refusal is proven as it is; that a real process passes on its code and
its streams is proven by the tests that start one.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest
import structlog

from armshare.cli.app import main


def armshare_here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line here; return its exit code and what it wrote. An error that it lets through is raised."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with _left_as_it_was(), redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["armshare", *arguments])
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return subprocess.CompletedProcess(["armshare", *arguments], code, out.getvalue(), err.getvalue())


@contextmanager
def _left_as_it_was() -> Iterator[None]:
    """Put back what the command line sets for all of its process."""
    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    hook, logs, environment = sys.excepthook, structlog.get_config(), dict(os.environ)
    try:
        yield
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
        sys.excepthook = hook
        os.environ.clear()
        os.environ.update(environment)
        structlog.configure(**logs)
