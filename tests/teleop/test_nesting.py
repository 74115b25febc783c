"""JSON that is nested as deep as a frame has room for is refused, and ends no process."""

from __future__ import annotations

import subprocess
import sys

import pytest

ROOMS = ["teleop.identity", "teleop.hub.api", "rewards.chain.chain"]
READ = """
import importlib, json, sys
from teleop.wire import signalling
importlib.import_module(sys.argv[1])
deep = '{"x":' + "[" * 65_000
signalling.require_protocol(deep, "no")
for read in (signalling.from_operator, signalling.from_host, signalling.to_host, signalling.from_viewer):
    try:
        read(deep)
    except signalling.SignallingError as error:
        assert error.code in ("malformed", "unknown_type"), error.code
try:
    json.loads(deep)
except RecursionError:
    print("refused")
"""


@pytest.mark.parametrize("room", ROOMS)
def test_a_deeply_nested_frame_ends_no_process(room):
    """A library that is imported for signatures lets recursion go deeper than the stack is: a segmentation fault."""
    ran = subprocess.run([sys.executable, "-c", READ, room], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "refused\n"), ran.stderr[-2000:]
