"""Whether an episode's commands are one chain that nobody changed, and whether it drove only when they allow it. Pure.

Commands are checked all at once, by their headers as arrays; `Command.decode` says what is wrong with one that is.
`Interlock` is the very machine that runs beside a robot.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from recorder.file.commands import HEAD_BYTES, begins, follows, heads
from recorder.file.episode import Episode
from recorder.file.layout import NO_COMMAND
from teleop.safety import Interlock
from teleop.wire.messages import DEAD_MAN, INTERVENTION, PROTOCOL, WIRE, Command, Mode, Safety, WireError

_KIND: Final[int] = WIRE["messages"]["command"]["kind"]
_VALUES_MAX: Final[int] = WIRE["limits"]["command_values"]
_F32: Final = np.dtype("<f4")
_BITS: Final = np.dtype("<u4")
_FIELDS: Final = ("mode", "count", "seq", "seen", "epoch", "t_client_us")
_FLAGS: Final = {"dead_man": DEAD_MAN, "intervention": INTERVENTION}
_MS: Final = 1e6


def problem(episode: Episode) -> str | None:
    """Return the first thing that the commands of an episode cannot be, as a sentence, or None."""
    said = heads(episode.arrays)
    for check in (_whole, _order, _taken, _chain, _commanded):
        if (found := check(episode, said)) is not None:
            return found
    return None


def _whole(episode: Episode, said: NDArray[Any]) -> str | None:
    """Each is a command, to the last byte, of finite values."""
    data, end, begin = episode.arrays["commands/bytes"], episode.arrays["commands/end"], begins(episode.arrays)
    suspect = (
        (said["kind"] != _KIND)
        | (said["protocol"] != PROTOCOL)
        | ~np.isin(said["mode"], list(Mode))
        | (said["flags"] & ~np.uint8(DEAD_MAN | INTERVENTION) != 0)
        | (said["reserved"] != 0)
        | (said["count"] > _VALUES_MAX)
        | (end - begin != HEAD_BYTES + _F32.itemsize * said["count"].astype(np.int64))
    )
    if not suspect.any():  # then each begins at a whole number of float32
        suspect[_not_finite(data.view(_F32), begin, end)] = True
    for row in np.flatnonzero(suspect):
        try:
            Command.decode(data[begin[row] : end[row]].tobytes())
        except WireError as error:
            return f"command {row}: {error}"
    return None


def _not_finite(words: NDArray[np.float32], begin: NDArray[np.int64], end: NDArray[Any]) -> NDArray[np.int64]:
    """Return which commands have a value that is not finite."""
    values = np.ones(len(words), np.bool_)
    for word in range(HEAD_BYTES // _F32.itemsize):
        values[begin // _F32.itemsize + word] = False
    wrong = np.flatnonzero(values & ~np.isfinite(words))
    return np.searchsorted(end, wrong * _F32.itemsize, side="right")


def _order(episode: Episode, said: NDArray[Any]) -> str | None:
    """Epochs never fall, and within one, `seq` rises."""
    epoch, seq = said["epoch"].astype(np.int64), said["seq"].astype(np.int64)
    wrong = np.flatnonzero((np.diff(epoch) < 0) | ((np.diff(epoch) == 0) & (np.diff(seq) <= 0)))
    if not len(wrong):
        return None
    row = int(wrong[0]) + 1
    before, found = (f"epoch {epoch[at]} and seq {seq[at]}" for at in (row - 1, row))
    return f"command {row}: expected one after {before}, got {found}"


def _taken(episode: Episode, said: NDArray[Any]) -> str | None:
    """Each was taken after the one before it, by a step of the episode, and had come when that began."""
    step, arrived = episode.arrays["commands/step"].astype(np.int64), episode.arrays["commands/t_arrived_mono_ns"]
    admitted = episode.arrays["commands/admitted"]
    for wrong, expected in (
        (np.flatnonzero(step >= episode.steps), f"a step below {episode.steps}"),
        (np.flatnonzero(admitted > 1), "`admitted` as 0 or 1"),
        (np.flatnonzero(np.diff(step) < 0) + 1, "a step that is not before that of the command before it"),
        (np.flatnonzero(arrived[1:] < arrived[:-1]) + 1, "an arrival that is not before that of the one before it"),
    ):
        if len(wrong):
            row = wrong[0]
            found = f"step {step[row]}, arrival {arrived[row]} ns and admitted {admitted[row]}"
            return f"command {row}: expected {expected}, got {found}"
    late = np.flatnonzero(arrived > episode.t_began_ns[step])
    if not len(late):
        return None
    row = late[0]
    after_ms = (arrived[row] - episode.t_began_ns[step[row]]) / _MS
    return f"command {row}: step {step[row]} took it, and it came {after_ms:.3f} ms after that had begun"


def _chain(episode: Episode, said: NDArray[Any]) -> str | None:
    """Each that was sent next after the one before it holds the SHA-256 of that one's bytes; the first, zeros."""
    row = np.flatnonzero(follows(said))
    data = episode.arrays["commands/bytes"].tobytes()
    start, end = begins(episode.arrays)[row - 1].tolist(), episode.arrays["commands/end"][row - 1].tolist()
    digests = b"".join([sha256(data[at:until]).digest() for at, until in zip(start, end, strict=True)])
    expected = np.zeros(len(said), said.dtype["before"])
    expected[row] = np.frombuffer(digests, expected.dtype)
    checked = np.union1d(row, np.flatnonzero(said["seq"] == 1))
    wrong = checked[said["before"][checked] != expected[checked]]
    if not len(wrong):
        return None
    here, there = expected[wrong[0]].tobytes().hex(), said["before"][wrong[0]].tobytes().hex()
    return f"command {wrong[0]}: expected the hash {here} of the one before it, got {there}"


def _commanded(episode: Episode, said: NDArray[Any]) -> str | None:
    """`/commanded` is what the newest admitted command at each step says."""
    newest = episode.newest_command
    rows, none = np.maximum(newest, 0), newest < 0
    for name in (*_FIELDS, *_FLAGS):
        values = said["flags"] & _FLAGS[name] != 0 if name in _FLAGS else said[name]
        nothing = NO_COMMAND if name == "mode" else 0
        expected = np.where(none, nothing, values[rows] if len(said) else nothing)
        found = episode.arrays[f"commanded/{name}"]
        if (wrong := np.flatnonzero(found != expected)).size:
            step = wrong[0]
            return f"step {step}: /commanded/{name} is {found[step]}, its newest command says {expected[step]}"
    return _values(episode, said, newest)


def _values(episode: Episode, said: NDArray[Any], newest: NDArray[np.int64]) -> str | None:
    found = episode.arrays["commanded/values"]
    expected = np.full(found.shape, np.nan, _F32)
    data, at = episode.arrays["commands/bytes"], begins(episode.arrays) + HEAD_BYTES
    counts = np.zeros(len(newest), np.int64)
    counts[newest >= 0] = np.minimum(said["count"][newest[newest >= 0]], found.shape[1])
    for count in np.unique(counts[counts > 0]).tolist():
        steps = np.flatnonzero(counts == count)
        windows = sliding_window_view(data, _F32.itemsize * count)
        expected[steps, :count] = windows[at[newest[steps]]].view(_F32)
    same = (found.view(_BITS) == expected.view(_BITS)) | (np.isnan(found) & np.isnan(expected))
    if same.all():
        return None
    step, index = np.argwhere(~same)[0]
    there, here = found[step, index], expected[step, index]
    return f"step {step}: /commanded/values[{index}] is {there}, its newest command says {here}"


_Given = tuple[bool, bool, int]
"""An admitted command, as far as safety goes: whether it is the first of its epoch, as that finds the robot expired;
whether its dead-man is held; and when it arrived, ns."""


def unsafe(episode: Episode) -> str | None:
    """Return the first step whose state of safety its commands do not allow, as a sentence, or None."""
    said, began_ns = episode.arrays["safety"].tolist(), episode.t_began_ns.tolist()
    given, until = _given(episode)
    machine = _armed(given[0][2] if given else began_ns[0])
    for step, (start, end) in enumerate(pairwise(until)):
        state = _after(machine, given[start:end], began_ns[step])
        if state == said[step]:
            continue
        expired = Interlock()
        if _after(expired, given[start:end], began_ns[step]) == said[step]:
            machine = expired
        elif said[step] == Safety.EXPIRED:
            machine.expire()
        else:
            found, allowed = _word(said[step]), _word(state)
            return f"step {step}: expected a robot that is {allowed}, by the commands as they came, got {found}"
    return None


def _given(episode: Episode) -> tuple[list[_Given], list[int]]:
    """Return the admitted commands, and for each step how many there are before it; last, how many there are."""
    rows = np.flatnonzero(episode.arrays["commands/admitted"])
    said = heads(episode.arrays)[rows]
    first = (said["seq"] == 1) | (np.diff(said["epoch"], prepend=said["epoch"][:1]) != 0)
    arrived_ns = episode.arrays["commands/t_arrived_mono_ns"][rows]
    held = said["flags"] & DEAD_MAN != 0
    given = list(zip(first.tolist(), held.tolist(), arrived_ns.tolist(), strict=True))
    until = np.searchsorted(episode.arrays["commands/step"][rows], np.arange(episode.steps + 1))
    return given, until.tolist()


def _armed(now_ns: int) -> Interlock:
    """Return a robot as it is before the first step: its operator had released the dead-man, and pressed it then."""
    made = Interlock()
    made.command(False, now_ns)
    return made


def _after(machine: Interlock, given: Iterable[_Given], began_ns: int) -> Safety:
    """Give a robot the commands of a step; return its state when that begins."""
    for first, dead_man, arrived_ns in given:
        if first:
            machine.expire()
        machine.command(dead_man, arrived_ns)
    return machine.tick(began_ns)


def _word(state: int) -> str:
    return Safety(state).name.lower() if state in Safety._value2member_map_ else str(state)
