"""Importing a data set that may be anyone's: it is read apart, in a process with limits, one episode after the other.

    <target>/<set>-<digest>-<index>/episode.h5

An episode appears whole, by a rename, and is never written twice: a second run leaves alone what is there. What the
process wrote is read as any stranger's file, and every picture of it decoded, before it gets its name. A process that
a decoder takes down, or that takes too much, is one broken episode: the next one is read by a new process.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from recorder.file.apart import ReaderLostError, reader, viewer
from recorder.file.episode import EpisodeError
from recorder.importing import errors
from recorder.importing.errors import (
    BrokenEpisodeError,
    ImportTargetError,
    LostError,
    NotADataSetError,
    PicturesBrokenError,
    TooCostlyError,
    UnreadableSetError,
)
from recorder.importing.making import Order, episode_id
from recorder.importing.taken import Format
from recorder.importing.worker import ANSWER, DISK, MESSAGE_BYTES_MAX, Answer, Bounds, Make, NameOf, Open
from recorder.pictures.errors import PictureError
from recorder.proof.manifest import EPISODE_FILE
from teleop.files import move, sync_folder

_MAKING: Final = ".import"
_ROOT: Final = Path(__file__).parents[2]
_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""So that memory is used as it is asked for, and its limit holds."""


_ENDING_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one episode of a source."""

    index: int
    name: str
    folder: Path
    made: bool = False
    """Whether this run made it; else it was there, or is broken."""
    error: BrokenEpisodeError | None = None


class SetApart:
    """A data set that another process reads."""

    def __init__(self, path: Path, form: str = "", hz: float | None = None, bounds: Bounds = Bounds()) -> None:  # noqa: B008  frozen
        """Look at it; raise an ImportSetError. `close` it."""
        self.path = path
        self._open = Open(str(path), form, hz, bounds)
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        try:
            found = self._started()
        except BrokenEpisodeError as error:
            self.close()
            raise UnreadableSetError(f"{path} cannot be read as a data set: {error}.") from error
        except BaseException:
            self.close()
            raise
        self.format: Format = found.format
        self.version, self.count = found.version, found.count

    def name(self, index: int) -> str:
        """Return what the set calls an episode; raise a BrokenEpisodeError."""
        return self._asked(NameOf(index)).name

    def make(self, order: Order) -> None:
        """Have an episode's file written; raise a BrokenEpisodeError, or ImportTargetError if it cannot be written."""
        self._asked(Make(order))

    def close(self) -> None:
        """End the process. Idempotent."""
        channel, process = self._channel, self._process
        self._channel = self._process = None
        if channel is not None:
            channel.close()
        if process is not None:
            process.kill()
            process.wait()

    def _asked(self, request: NameOf | Make) -> Answer:
        if self._channel is None:
            self._started()
        return self._answer(request)

    def _started(self) -> Answer:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "recorder.importing.worker", str(theirs.fileno())],
                cwd=_ROOT,
                env=os.environ | _ENVIRONMENT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return self._answer(self._open)

    def _answer(self, request: Open | NameOf | Make) -> Answer:
        assert self._channel is not None, "it was started"
        bounds = self._open.bounds
        self._channel.settimeout(bounds.wall_s)
        try:
            self._channel.sendall(msgspec.json.encode(request))
            data = self._channel.recv(MESSAGE_BYTES_MAX)
        except TimeoutError as error:
            self.close()
            raise TooCostlyError(f"reading it takes longer than {bounds.wall_s:g} s") from error
        except OSError:
            data = b""
        if not data:
            raise self._lost()
        answer = ANSWER.decode(data)
        if not answer.error:
            return answer
        if answer.error == DISK:
            raise ImportTargetError(f"The episode cannot be written: {answer.says}. Nothing of it was.")
        kind = getattr(errors, answer.error, LostError)
        raise kind(answer.says)

    def _lost(self) -> BrokenEpisodeError:
        """Return what is said of a process that has ended by itself."""
        process = self._process
        self._process = None
        code = _ended(process) if process is not None else 0
        self.close()
        if code == -signal.SIGXCPU:
            return TooCostlyError("reading it takes more of a processor than an honest one of its size could")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return LostError(f"the process that read it ended with {how}: what decodes it may have a fault")


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Return how a process that has closed its end has ended, or end it."""
    try:
        return process.wait(_ENDING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextmanager
def opened(path: Path, form: str = "", hz: float | None = None, bounds: Bounds = Bounds()) -> Iterator[SetApart]:  # noqa: B008  frozen
    """Give a data set of the format `form`, or, without it, of the one that a file or a folder tells.

    `hz` is the rate to assume if it does not say it. Raises an ImportSetError.
    """
    if not path.exists():
        raise NotADataSetError(f"{path} does not exist: name a LeRobot folder, or a robomimic file.")
    found = SetApart(path, form, hz, bounds)
    try:
        yield found
    finally:
        found.close()


@dataclass(frozen=True, slots=True)
class Said:
    """What every episode of a set says of its import."""

    sha256: str
    """Of the set."""
    software: str
    rules: Collection[str] = ()
    """The versions of the rules that are known here."""
    pictures: bool = True
    """Whether pictures come in too."""


def import_set(source: SetApart, target: Path, said: Said) -> Iterator[Outcome]:
    """Make an episode of each of a source's that is not there yet, and say what became of each.

    Raises ImportTargetError if something else is in an episode's place, or it cannot be written.
    """
    for index in range(source.count):
        folder = target / episode_id(source.path, said.sha256, index)
        name = f"episode {index}"
        try:
            name = source.name(index)
            if os.path.lexists(folder):
                _require_it(folder, said.sha256, index)
                yield Outcome(index, name, folder)
                continue
            _make(source, target / _MAKING, folder, index, said)
        except BrokenEpisodeError as error:
            yield Outcome(index, name, folder, error=error)
            continue
        yield Outcome(index, name, folder, made=True)


def _make(source: SetApart, making: Path, folder: Path, index: int, said: Said) -> None:
    """Make an episode's folder, whole or not at all."""
    beside = making / f"{folder.name}.{os.getpid()}"
    order = Order(
        index=index,
        episode=folder.name,
        file=str(beside.resolve() / EPISODE_FILE),
        source=str(source.path.resolve()),
        sha256=said.sha256,
        software=said.software,
        imported_ms=str(time.time_ns() // 1_000_000),
        rules=list(said.rules),
        pictures=said.pictures,
    )
    try:
        beside.mkdir(parents=True)
        source.make(order)
        _require_sound(beside / EPISODE_FILE, folder.name, said.sha256, index)
        sync_folder(beside)
        move(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if making.is_dir() and not any(making.iterdir()):
            making.rmdir()


def _require_sound(path: Path, episode: str, sha256: str, index: int) -> None:
    """Raise a BrokenEpisodeError unless the file is that of this episode, and each of its pictures can be decoded."""
    try:
        found = reader().read(path, plain=True, imported=True)
        viewer().look([*found.pictures.values()])
    except EpisodeError as error:
        raise LostError(f"what was written of it is no episode: {error}") from error
    except PictureError as error:
        raise PicturesBrokenError(f"what came in of it cannot be decoded: {error}") from error
    except ReaderLostError as error:
        raise ImportTargetError(f"What was written cannot be read back here and now: {error}.") from error
    origin = found.meta.origin
    if found.meta.episode != episode or origin is None or (origin.sha256, origin.index) != (sha256, index):
        raise LostError("what was written of it is another episode")


def _require_it(folder: Path, sha256: str, index: int) -> None:
    """Raise ImportTargetError unless a folder holds that episode of that source."""
    try:
        origin = reader().read(folder / EPISODE_FILE, imported=True).meta.origin
    except EpisodeError as error:
        raise ImportTargetError(f"{folder} is in the way: {error}. Remove it, or name another folder.") from error
    if origin is None or (origin.sha256, origin.index) != (sha256, index):
        raise ImportTargetError(f"{folder} holds another episode. Name another folder; nothing is overwritten.")
