"""The folder that episodes are made in: one robot, one task and one driver, so that the same command goes on with it.

    <episode>/            a whole episode, which has been checked
    .record/keys/         the keys that sign: the robot's, and the operator's unless that is somebody's own
    .record/made.json     what the folder holds episodes of
    .record/making/       what is not whole yet; whoever begins next removes it

One process writes to it at a time. An episode appears whole, by a rename, and nothing changes it after that.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from recorder.file.layout import EPISODE_ID_MAX
from recorder.proof.bundle import MANIFEST_FILE
from teleop.files import move, write_atomic
from teleop.wire.driver import Driver

_ROOM_FOR_SEED: Final = 20
_HIDDEN: Final = ".record"


class CollectError(Exception):
    """Episodes cannot be made; the message says why, and what to do."""


class Made(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a folder holds episodes of."""

    robot: str
    task: str
    driver: Driver


_MADE: Final = msgspec.json.Decoder(Made)


class Folder:
    """Where episodes of one robot, task and driver are made. Use it within `held`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys, self.making = path / _HIDDEN / "keys", path / _HIDDEN / "making"
        self._made = path / _HIDDEN / "made.json"

    @contextlib.contextmanager
    def held(self, made: Made) -> Iterator[None]:
        """Hold it, without what was left half made; raise CollectError if it is held, or for something else."""
        self.keys.mkdir(parents=True, exist_ok=True)
        with (self.path / _HIDDEN / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise CollectError(
                    f"Something else makes episodes in {self.path}. End it, or name another folder."
                ) from error
            self._require(made)
            self._clean()
            try:
                yield
            finally:
                self._clean()

    def name_of(self, made: Made, seed: int) -> str:
        """Return the id of the episode of a seed."""
        head = f"{made.task}-{made.robot}"[: EPISODE_ID_MAX - _ROOM_FOR_SEED]
        return f"{head}-{seed}"

    def has(self, episode: str) -> bool:
        """Whether an episode is there, which it only is as a whole."""
        return (self.path / episode / MANIFEST_FILE).exists()

    def free_name(self, made: Made, seed: int) -> str:
        """Return an id for another episode of a seed."""
        name, number = self.name_of(made, seed), 1
        while (self.path / (name if number == 1 else f"{name}-{number}")).exists():
            number += 1
        return name if number == 1 else f"{name}-{number}"

    def place(self, bundle: Path) -> Path:
        """Put a whole episode in its place, by one rename."""
        target = self.path / bundle.name
        move(bundle, target)
        return target

    def _require(self, made: Made) -> None:
        """Note what the folder is for, or require that it is for this."""
        if not self._made.exists():
            write_atomic(self._made, msgspec.json.encode(made))
            return
        try:
            found = _MADE.decode(self._made.read_bytes())
        except msgspec.MsgspecError as error:
            raise CollectError(f"{self._made} is not what armshare has written. Name another folder.") from error
        if found != made:
            raise CollectError(
                f"{self.path} holds episodes of {_said(found)}, not of {_said(made)}. Name another folder."
            )

    def _clean(self) -> None:
        shutil.rmtree(self.making, ignore_errors=True)
        self.making.mkdir()


def _said(made: Made) -> str:
    return f"{made.robot} at {made.task}, driven by {made.driver.brief}"
