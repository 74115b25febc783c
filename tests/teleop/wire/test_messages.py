"""The wire, held to the golden bytes that the browser is held to as well, and to arbitrary bytes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from teleop.wire.messages import COMMAND_BYTES_MAX, Command, Mode, Safety, State, WireError
from teleop.wire.signalling import SignallingError, from_host, from_operator, to_host

HERE = Path(__file__).parents[1]
GOLDEN = json.loads((HERE / "golden_wire.json").read_text())
MALFORMED = json.loads((HERE / "golden_wire_malformed.json").read_text())
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)


def floats(size: int):
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    return st.integers(0, size).flatmap(lambda count: arrays(np.float32, count, elements=finite))


COMMANDS = st.builds(
    Command,
    mode=st.sampled_from(Mode),
    dead_man=st.booleans(),
    epoch=U32,
    seq=U32,
    seen=U32,
    t_client_us=U64,
    values=floats(64),
    before=st.binary(min_size=32, max_size=32),
    intervention=st.booleans(),
)


def command_of(fields) -> Command:
    return Command(
        Mode[fields["mode"].upper()],
        fields["dead_man"],
        fields["epoch"],
        fields["seq"],
        fields["seen"],
        int(fields["t_client_us"]),
        np.array(fields["values"], np.float32),
        bytes.fromhex(fields["before"]),
        fields.get("intervention", False),
    )


def state_of(fields) -> State:
    names = ("recording", "succeeded", "limited", "limits", "epoch", "seq", "applied")
    return State(
        Safety[fields["safety"].upper()],
        *(fields[name] for name in names),
        int(fields["t_host_us"]),
        int(fields["t_client_us"]),
        bytes.fromhex(fields["commands"]),
        fields["progress"],
        np.array(fields["values"], np.float32),
    )


def same(one, other) -> bool:
    for name in type(one).__slots__:
        mine, theirs = getattr(one, name), getattr(other, name)
        if not (np.array_equal(mine, theirs) if name == "values" else mine == theirs):
            return False
    return True


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["name"])
def test_golden_bytes_are_written_and_read(golden):
    kind, build = (Command, command_of) if golden["message"] == "command" else (State, state_of)
    message = build(golden["fields"])
    assert message.encode().hex() == golden["hex"]
    assert same(kind.decode(bytes.fromhex(golden["hex"])), message)


@pytest.mark.parametrize("bad", MALFORMED, ids=lambda bad: bad["name"])
def test_malformed_bytes_are_refused_by_name(bad):
    kind = Command if bad["message"] == "command" else State
    with pytest.raises(WireError, match="expected"):
        kind.decode(bytes.fromhex(bad["hex"]))


@given(COMMANDS)
def test_any_command_survives_the_wire(command):
    assert same(Command.decode(command.encode()), command)


@given(st.binary(max_size=COMMAND_BYTES_MAX + 8))
def test_arbitrary_bytes_are_a_command_or_a_wire_error(data):
    try:
        command = Command.decode(data)
    except WireError:
        return
    assert command.encode() == data, "what is accepted has one encoding only"


@given(COMMANDS, st.data())
def test_a_command_cut_or_grown_is_refused(command, data):
    good = command.encode()
    cut = data.draw(st.integers(0, len(good) - 1))
    for bad in (good[:cut], good + b"\0"):
        with pytest.raises(WireError):
            Command.decode(bad)


def test_a_command_that_is_not_finite_is_refused():
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(WireError, match="finite"):
            Command.decode(Command(Mode.EE_TWIST, True, 1, 1, 1, 1, np.array([value], np.float32)).encode())


@given(st.one_of(st.text(), st.binary()))
def test_arbitrary_control_frames_are_messages_or_control_errors(frame):
    for read in (from_operator, from_host, to_host):
        with pytest.raises(SignallingError) as caught:
            read(frame)
        assert caught.value.code in ("malformed", "unknown_type")
