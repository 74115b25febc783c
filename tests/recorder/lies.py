"""Lies about a short drive's commands and safety, each with the gate that refuses it; whoever tells one has every key.

Some change the arrays of the good drive, some the script by which it is recorded, and some its manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from recorder.proof import refusals
from recorder.proof.manifest import Manifest
from recorder.proof.refusals import GateError
from teleop.wire.messages import Safety
from tests.recorder.driving import GOOD, GOOD_SAFETY, A, D, E, H

Arrays = dict[str, Any]
Change = Callable[[Arrays], None]
Refusal = type[GateError]


def changed(path: str, at: int, value: Any) -> Callable[[Arrays], None]:
    """Return what puts another value in a dataset."""
    return lambda arrays: arrays[path].__setitem__(at, value)


def rows(arrays: Arrays) -> list[bytes]:
    """Return the commands."""
    return [part.tobytes() for part in np.split(arrays["commands/bytes"], arrays["commands/end"][:-1])]


def put(arrays: Arrays, commands: Sequence[bytes]) -> None:
    """Put other commands in the place of the old ones."""
    arrays["commands/bytes"] = np.frombuffer(b"".join(commands), np.uint8).copy()
    arrays["commands/end"] = np.cumsum([len(one) for one in commands]).astype(np.uint32)


def with_byte(row: int, at: int, value: int) -> Callable[[Arrays], None]:
    """Return what changes one byte of a command."""

    def change(arrays: Arrays) -> None:
        found = [bytearray(one) for one in rows(arrays)]
        found[row][at] = value
        put(arrays, [bytes(one) for one in found])

    return change


def swapped(arrays: Arrays) -> None:
    """Let two commands of one step come the other way round."""
    found = rows(arrays)
    put(arrays, [found[1], found[0], *found[2:]])


def dropped(arrays: Arrays) -> None:
    """Leave a command out, and count those after it one less, so that nothing seems to have been lost."""
    found, row = rows(arrays), 1
    for name in ("t_arrived_mono_ns", "step", "admitted"):
        arrays[f"commands/{name}"] = np.delete(arrays[f"commands/{name}"], row)
    epoch = found[row][4:8]
    put(
        arrays,
        [
            one[:8] + (int.from_bytes(one[8:12], "little") - 1).to_bytes(4, "little") + one[12:]
            if place > row and one[4:8] == epoch
            else one
            for place, one in enumerate(found)
            if place != row
        ],
    )


def at(step: int, script: str | None, state: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the good drive's scripts and states of safety, with others at one step."""
    scripts, safety = list(GOOD), list[int](GOOD_SAFETY)
    scripts[step], safety[step] = GOOD[step] if script is None else script, state
    return tuple(scripts), tuple(safety)


def began_earlier(arrays: Arrays) -> None:
    """Let a step begin before the silence was too long, which is before the observation that it began with."""
    arrays["time/t_began_mono_ns"][7] -= 10_000_000
    arrays["safety"][7] = D


def began_later(arrays: Arrays) -> None:
    """Let the last step begin a millisecond after its action was sent."""
    arrays["time/t_began_mono_ns"][-1] = arrays["time/t_sent_mono_ns"][-1] + 1_000_000


def same_seq(arrays: Arrays) -> None:
    """Let two commands have the same number."""
    with_byte(1, 8, rows(arrays)[0][8])(arrays)


def uncut(arrays: Arrays) -> None:
    """Let two commands end at the same place."""
    arrays["commands/end"][1] = arrays["commands/end"][0]


_STEP, _ARRIVED = "commands/step", "commands/t_arrived_mono_ns"
CHANGED: Final[dict[str, tuple[Change, Refusal]]] = {
    "a changed byte": (with_byte(0, 16, 255), refusals.CommandsMismatch),
    "two swapped": (swapped, refusals.CommandsMismatch),
    "one dropped in the middle": (dropped, refusals.CommandsMismatch),
    "one moved to an earlier step": (changed(_STEP, 2, 0), refusals.CommandsMismatch),
    "one moved to a later step": (changed(_STEP, 1, 1), refusals.CommandsMismatch),
    "another protocol": (with_byte(0, 1, 1), refusals.CommandsMismatch),
    "another kind of message": (with_byte(0, 0, 2), refusals.CommandsMismatch),
    "a mode that there is not": (with_byte(0, 2, 4), refusals.CommandsMismatch),
    "a flag that there is not": (with_byte(0, 3, 2), refusals.CommandsMismatch),
    "something reserved": (with_byte(0, 58, 1), refusals.CommandsMismatch),
    "more values than there are": (with_byte(0, 56, 4), refusals.CommandsMismatch),
    "a value that is not finite": (with_byte(0, 63, 127), refusals.CommandsMismatch),
    "an epoch that falls": (with_byte(0, 4, 9), refusals.CommandsMismatch),
    "a number that is there twice": (same_seq, refusals.CommandsMismatch),
    "steps that fall": (changed(_STEP, 1, 5), refusals.CommandsMismatch),
    "a step after the last": (changed(_STEP, -1, len(GOOD)), refusals.CommandsMismatch),
    "arrivals that fall": (changed(_ARRIVED, 1, 0), refusals.CommandsMismatch),
    "half admitted": (changed("commands/admitted", 0, 2), refusals.CommandsMismatch),
    "a stale one that counts": (changed("commands/admitted", 4, 1), refusals.CommandsMismatch),
    "one that counts as stale": (changed("commands/admitted", 1, 0), refusals.CommandsMismatch),
    "another mode commanded": (changed("commanded/mode", 3, 1), refusals.CommandsMismatch),
    "another value commanded": (changed("commanded/values", (3, 1), 0.5), refusals.CommandsMismatch),
    "a value commanded beyond the last": (changed("commanded/values", (3, 3), 0.0), refusals.CommandsMismatch),
    "no value commanded": (changed("commanded/values", (3, 1), np.nan), refusals.CommandsMismatch),
    "more values commanded": (changed("commanded/count", 3, 4), refusals.CommandsMismatch),
    "another number commanded": (changed("commanded/seq", 3, 1), refusals.CommandsMismatch),
    "another state seen": (changed("commanded/seen", 3, 1), refusals.CommandsMismatch),
    "another epoch commanded": (changed("commanded/epoch", 3, 2), refusals.CommandsMismatch),
    "a dead-man commanded": (changed("commanded/dead_man", 3, 1), refusals.CommandsMismatch),
    "an intervention commanded": (changed("commanded/intervention", 3, 1), refusals.CommandsMismatch),
    "another stage": (changed("stage", 3, 2), refusals.SuccessMismatch),
    "another time commanded": (changed("commanded/t_client_us", 3, 1), refusals.CommandsMismatch),
    "nothing commanded": (changed("commanded/mode", 3, 255), refusals.CommandsMismatch),
    "a beginning before its observation": (began_earlier, refusals.MotionInvalid),
    "a beginning after the sending": (began_later, refusals.MotionInvalid),
    "commands that are not cut": (uncut, refusals.EpisodeStructureInvalid),
}


def camera(kind: str, name: str = "front") -> str:
    """Return the path of one of a camera's datasets."""
    return f"cameras/{name}/{kind}"


def cut_short(arrays: Arrays) -> None:
    """Leave out the second half of a picture."""
    end, data = arrays[camera("end")], arrays[camera("bytes")]
    size = int(end[5] - end[4])
    lost = size // 2
    arrays[camera("bytes")] = np.delete(data, slice(int(end[5]) - lost, int(end[5])))
    arrays[camera("end")][5:] -= lost


def flipped(arrays: Arrays) -> None:
    """Change the bytes with which a picture begins."""
    start = int(arrays[camera("end")][4])
    arrays[camera("bytes")][start : start + 8] ^= 0x55


def swapped_cameras(arrays: Arrays) -> None:
    """Give each camera what the other saw."""
    for kind in ("bytes", "end", "t_captured_mono_ns", "t_arrived_mono_ns", "key", "marks", "events"):
        one, other = camera(kind), camera(kind, "wrist")
        arrays[one], arrays[other] = arrays[other], arrays[one]


def a_picture_less(arrays: Arrays) -> None:
    """Forget a picture in everything but where it ends."""
    arrays[camera("end")] = np.delete(arrays[camera("end")], 3)


def earlier(kind: str) -> Callable[[Arrays], None]:
    """Return what lets a picture be of before the one before it."""
    return lambda arrays: arrays[camera(kind)].__setitem__(6, arrays[camera(kind)][4])


def said_key(row: int, value: int) -> Callable[[Arrays], None]:
    """Return what says of a picture that it is a key, or that it is not."""
    return changed(camera("key"), row, value)


def from_after(arrays: Arrays) -> None:
    """Let the last picture be of after the episode."""
    arrays[camera("t_captured_mono_ns")][-1] += 10**9
    arrays[camera("t_arrived_mono_ns")][-1] += 10**9


def too_much_before(arrays: Arrays) -> None:
    """Let the first two keys be of before the episode."""
    early = arrays[camera("t_captured_mono_ns")]
    early[:6] = early[0] + np.arange(6)


def event(*said: int) -> Callable[[Arrays], None]:
    """Return what says that there was trouble."""

    def change(arrays: Arrays) -> None:
        arrays[camera("events")] = np.array([said], arrays[camera("events")].dtype)

    return change


def twice(arrays: Arrays) -> None:
    """Put a second picture into an access unit."""
    end, data = arrays[camera("end")], arrays[camera("bytes")]
    again = data[: int(end[0])]
    arrays[camera("bytes")] = np.concatenate([again, data])
    arrays[camera("end")] = end + len(again)


PICTURES: Final[dict[str, tuple[Change, Refusal]]] = {
    "a picture that is cut short": (cut_short, refusals.PicturesInvalid),
    "a picture whose bits are flipped": (flipped, refusals.PicturesInvalid),
    "what another camera saw": (swapped_cameras, refusals.PicturesInvalid),
    "a picture less than there are ends": (a_picture_less, refusals.EpisodeStructureInvalid),
    "a clock that goes back": (earlier("t_captured_mono_ns"), refusals.PicturesInvalid),
    "a picture that arrived before another": (earlier("t_arrived_mono_ns"), refusals.PicturesInvalid),
    "a key that is none": (said_key(5, 1), refusals.PicturesInvalid),
    "a key that hides": (said_key(4, 0), refusals.PicturesInvalid),
    "a first picture that is no key": (said_key(0, 0), refusals.PicturesInvalid),
    "a key that is neither": (said_key(5, 7), refusals.PicturesInvalid),
    "a mark that there is not": (changed(camera("marks"), 2, 8), refusals.PicturesInvalid),
    "a picture from after the end": (from_after, refusals.PicturesInvalid),
    "pictures from long before": (too_much_before, refusals.PicturesInvalid),
    "trouble that there is not": (event(1_100_000_000, 1_200_000_000, 9, 1), refusals.PicturesInvalid),
    "trouble that ends before it begins": (event(1_200_000_000, 1_100_000_000, 0, 1), refusals.PicturesInvalid),
    "trouble of another time": (event(1, 2, 0, 1), refusals.PicturesInvalid),
    "two pictures in one": (twice, refusals.PicturesInvalid),
}
"""Of the episode that `filming.seen` makes."""
RECORDED: Final[dict[str, tuple[Sequence[str], Sequence[int]]]] = {
    "driven without pressing": at(1, "r", D),
    "driven after a silence": at(7, None, D),
    "driven before it was armed": at(8, "p", D),
    "driven on in a new epoch": at(10, "|p", D),
    "armed in the epoch before": at(10, "r|p", D),
    "driven by a stale command": at(4, "s", D),
    "driven by a stale release": at(8, "p", D),
    "driven on after it had expired": at(1, None, E),
    "armed by nothing": at(5, None, A),
    "held before it was driven": at(11, "r", H),
    "held though it was pressed": at(1, None, H),
    "stopped by nothing": at(5, None, Safety.ESTOPPED),
    "broken": at(5, None, Safety.FAULTED),
    "in a state that there is not": at(5, None, 9),
}
"""Refused as `SafetyMismatch`."""
EXPIRED: Final[dict[str, tuple[Sequence[str], Sequence[int]]]] = {
    "at its end": (GOOD, (*GOOD_SAFETY[:-1], E)),
    "and armed again": (GOOD, (D, E, E, A, *GOOD_SAFETY[4:])),
    "before the commands of a step": (GOOD, (D, D, D, A, *GOOD_SAFETY[4:])),
    "for all of it": (("p",) * 4, (E, E, E, E)),
    "after a pause of the connection": (("p", "", "|r", "p"), (D, E, A, D)),
}
"""What a robot's computer may do for reasons of its own: let it expire at any time."""
SAID: Final[dict[str, tuple[Callable[[Manifest], dict[str, Any]], Refusal]]] = {
    "rules that the file does not name": (lambda said: {"rules": "1"}, refusals.ManifestDisagrees),
    "version 1": (
        lambda said: {"version": 1, "commands": msgspec.UNSET, "driver": msgspec.UNSET},
        refusals.ManifestDisagrees,
    ),
    "no commands": (lambda said: {"commands": []}, refusals.ManifestDisagrees),
    "the first epoch only": (lambda said: {"commands": said.commands[:1]}, refusals.ManifestDisagrees),
    "another last command": (
        lambda said: {"commands": [said.commands[0], msgspec.structs.replace(said.commands[1], sha256=64 * "0")]},
        refusals.ManifestDisagrees,
    ),
}
