"""An episode's commands as they came: where each lies in `/commands/bytes`, and its header's fields, all at once.

An hour has up to half a million of them, so nothing here goes through them one by one but `commands`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from teleop.wire.messages import COMMAND_BYTES_MAX, WIRE, header_of

HEAD_BYTES: Final = header_of("command").size
_TYPES: Final = {"u8": "|u1", "u16": "<u2", "u32": "<u4", "u64": "<u8", "bytes32": "|V32"}
HEAD: Final = np.dtype([(name, _TYPES[kind]) for name, kind, _ in WIRE["messages"]["command"]["header"]])
"""A command's header, as `wire.json` has it."""
_AT_ONCE: Final = 1 << 16
"""How many headers are copied together."""

Arrays = Mapping[str, NDArray[Any]]


class CommandBoundsError(ValueError):
    """`/commands/end` does not cut `/commands/bytes` into commands."""


class CommandRow(NamedTuple):
    """One command, as its bytes came."""

    data: bytes
    arrived_ns: int
    """Monotonic."""
    step: int
    """The step at whose beginning it was taken."""
    admitted: bool
    """Whether it counted; False if it was stale."""


def commands(arrays: Arrays) -> Iterator[CommandRow]:
    """Yield an episode's commands in their order; of an episode of version 1, not one."""
    if "commands/end" not in arrays:
        return
    data, at = arrays["commands/bytes"].tobytes(), 0
    rows = (arrays[f"commands/{name}"].tolist() for name in ("end", "t_arrived_mono_ns", "step", "admitted"))
    for end, arrived_ns, step, admitted in zip(*rows, strict=True):
        yield CommandRow(data[at:end], arrived_ns, step, bool(admitted))
        at = end


def begins(arrays: Arrays) -> NDArray[np.int64]:
    """Return (M,) int64: where each command begins in `/commands/bytes`."""
    return np.concatenate([[0], arrays["commands/end"][:-1]])[: len(arrays["commands/end"])].astype(np.int64)


def require_bounds(arrays: Arrays) -> None:
    """Raise CommandBoundsError unless each command has the length of one, and together they are all the bytes."""
    if "commands/end" not in arrays:
        return
    end, size = arrays["commands/end"], len(arrays["commands/bytes"])
    last = int(end[-1]) if len(end) else 0
    if last != size:
        raise CommandBoundsError(f"expected /commands/end to end with {size}, the length of the bytes, got {last}")
    lengths = end - begins(arrays)
    wrong = np.flatnonzero((lengths < HEAD_BYTES) | (lengths > COMMAND_BYTES_MAX))
    if len(wrong):
        expected = f"{HEAD_BYTES} to {COMMAND_BYTES_MAX} bytes"
        raise CommandBoundsError(f"expected each command to have {expected}, got {lengths[wrong[0]]} at {wrong[0]}")


def heads(arrays: Arrays) -> NDArray[Any]:
    """Return (M,) of `HEAD`: the header of each command, whose bounds must have been checked."""
    at = begins(arrays)
    found = np.empty(len(at), HEAD)
    if len(at):
        windows = sliding_window_view(arrays["commands/bytes"], HEAD_BYTES)
        for start in range(0, len(at), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found[part] = windows[at[part]].view(HEAD)[:, 0]
    return found


def follows(said: NDArray[Any]) -> NDArray[np.bool_]:
    """Return (M,) bool: whether each command, by its header, is the very next one after the one before it."""
    epoch, seq = said["epoch"], said["seq"].astype(np.int64)
    found = np.zeros(len(said), np.bool_)
    found[1:] = (epoch[1:] == epoch[:-1]) & (seq[1:] == seq[:-1] + 1)
    return found


def newest_admitted(arrays: Arrays, steps: int) -> NDArray[np.int64]:
    """Return (N,) int64: the newest admitted command at each step, counted from 0; -1 if there is none yet."""
    if "commands/end" not in arrays:
        return np.full(steps, -1, np.int64)
    admitted = np.flatnonzero(arrays["commands/admitted"])
    if not len(admitted):
        return np.full(steps, -1, np.int64)
    before = np.searchsorted(arrays["commands/step"][admitted], np.arange(steps), side="right")
    return np.where(before > 0, admitted[before - 1], -1)
