"""A port that a test names beforehand is given to nobody else meanwhile."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import proxies
from tests.proxies import free_port

ROOT = Path(__file__).parents[1]
TELL = """
from tests import proxies

proxies._BELOW_THE_SYSTEMS = range({port}, {port} + 1)
try:
    print(proxies.free_port())
except OSError:
    print("no port")
"""


def given_to_another(port: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TELL.format(port=port)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout.strip()


def test_a_port_is_given_to_one_process_alone_while_nothing_listens_there_yet() -> None:
    port = free_port()
    assert given_to_another(port) == "no port"
    with socket.create_server(("127.0.0.1", port)):  # it is free for whom it was given to
        pass


def test_a_port_that_somebody_listens_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(proxies, "_BELOW_THE_SYSTEMS", range(port, port + 1))
        with pytest.raises(OSError, match="is free"):
            free_port()
