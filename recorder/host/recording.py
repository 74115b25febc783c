"""The host's recorder: one thread that turns the stream of episode events into sealed bundles on the disk.

Below `folder`:

    recording/<episode>.part.h5    open, or left by a crash
    recording/<episode>.h5         finished, not yet sealed
    sealed/<episode>/              a bundle that waits for its upload
    uploaded/ refused/             what became of it (`uploader.py`)
    damaged/                       what a crash left unreadable; kept for a person to look at
    previous                       the digest of the last sealed episode

Nothing here can stall control: the session only ever puts into the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog
from eth_account.signers.local import LocalAccount

from recorder.file.episode import EpisodeError
from recorder.file.files import move, write_atomic
from recorder.file.part import PART_SUFFIX, NothingRecordedError, recover
from recorder.file.writer import EpisodeWriter
from recorder.proof.description import hash_description
from recorder.proof.manifest import EPISODE_FILE, NO_PREVIOUS
from recorder.proof.seal import SealedEpisode, read_sealed, seal
from sim.robot import RobotModel
from teleop.identity import Domain
from teleop.steps import EpisodeEnd, EpisodeEvent, EpisodeStart, Events, Step

_log = structlog.get_logger()
_FOLDERS: Final = ("recording", "sealed", "uploaded", "refused", "damaged")
_BUNDLE_SUFFIX: Final = ".bundle"


class Recorder:
    """Consumes episode events; hands each sealed episode on. One thread calls `recover`, then `run`."""

    def __init__(
        self, folder: Path, key: LocalAccount, domain: Domain, hand_on: Callable[[SealedEpisode], None]
    ) -> None:
        """`key` is the robot's; `hand_on` must not block (an uploader's queue)."""
        self._folder, self._key, self._domain, self._hand_on = folder, key, domain, hand_on
        self._writer: EpisodeWriter | None = None
        self._described: dict[RobotModel, dict[str, str]] = {}
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)

    def recover(self) -> list[SealedEpisode]:
        """Seal what a crash left: finished episodes as they are, open ones as invalid (`host_lost`)."""
        recording = self._folder / "recording"
        handed = self._finish_bundles(recording)
        for part in sorted(recording.glob("*" + PART_SUFFIX)):
            self._recover(part, recording / (part.name.removesuffix(PART_SUFFIX) + ".h5"))
        for leftover in recording.glob("*.tmp"):
            leftover.unlink()
        finished = sorted(recording.glob("*.h5"))
        return handed + [sealed for file in finished if (sealed := self._seal(file)) is not None]

    def run(self, events: Events) -> None:
        """Record until None comes. An episode that is open then stays open, as after a crash."""
        while (event := events.get()) is not None:
            try:
                self._take(event)
            except Exception as error:  # noqa: BLE001  the supervisor: one broken recording must not end the next
                _log.exception("recording failed", error=str(error))
                self._abandon()
        self._abandon()

    def _take(self, event: EpisodeEvent) -> None:
        match event:
            case EpisodeStart():
                self._start(event)
            case Step():
                if self._writer is not None:
                    self._writer.append(event)
            case EpisodeEnd():
                self._end(event)

    def _start(self, start: EpisodeStart) -> None:
        self._abandon()
        part = self._folder / "recording" / (start.episode + PART_SUFFIX)
        self._writer = EpisodeWriter.start(part, start, self._describe(start.spec.model))

    def _end(self, end: EpisodeEnd) -> None:
        writer, self._writer = self._writer, None
        recording = self._folder / "recording"
        if writer is None:  # the recording failed before; what was committed still counts as an invalid episode
            self._recover(recording / (end.episode + PART_SUFFIX), recording / (end.episode + ".h5"))
        elif writer.steps == 0:
            writer.abandon()
            (recording / (end.episode + PART_SUFFIX)).unlink()
        else:
            writer.finish(end, recording / (end.episode + ".h5"))
        if (recording / (end.episode + ".h5")).exists():
            self._seal(recording / (end.episode + ".h5"))

    def _abandon(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abandon()

    def _recover(self, part: Path, clean: Path) -> None:
        if not part.exists():
            return
        try:
            if not clean.exists():
                recover(part, clean)
            part.unlink()
            _log.warning("recording recovered", episode=clean.stem)
        except NothingRecordedError:
            part.unlink()
        except EpisodeError as error:
            self._set_aside(part, error)

    def _seal(self, file: Path) -> SealedEpisode | None:
        building = file.with_name(file.stem + _BUNDLE_SUFFIX)
        try:
            sealed = seal(file, building, key=self._key, domain=self._domain, previous=self._previous())
        except EpisodeError as error:
            self._set_aside(file, error)
            return None
        return self._put_in_place(sealed)

    def _put_in_place(self, sealed: SealedEpisode) -> SealedEpisode:
        """Note the digest first, so that the next episode continues this one whenever a crash comes."""
        write_atomic(self._folder / "previous", sealed.digest.encode())
        folder = self._folder / "sealed" / sealed.episode
        move(sealed.folder, folder)
        _log.info("episode sealed", episode=sealed.episode, digest=sealed.digest, valid=sealed.valid)
        placed = replace(sealed, folder=folder)
        self._hand_on(placed)
        return placed

    def _finish_bundles(self, recording: Path) -> list[SealedEpisode]:
        """Put whole bundles in place, and take unfinished ones apart again."""
        placed = []
        for building in sorted(recording.glob("*" + _BUNDLE_SUFFIX)):
            if (building / EPISODE_FILE).exists():
                placed.append(self._put_in_place(read_sealed(building)))
                continue
            for file in building.iterdir():
                file.unlink()
            building.rmdir()
        return placed

    def _previous(self) -> str:
        """Return the last sealed episode's digest, or zeros before the first."""
        path = self._folder / "previous"
        return path.read_text().strip() if path.exists() else NO_PREVIOUS

    def _set_aside(self, file: Path, error: EpisodeError) -> None:
        _log.error("recording is damaged", file=file.name, reason=type(error).__name__, error=str(error))
        move(file, self._folder / "damaged" / file.name)

    def _describe(self, model: RobotModel) -> dict[str, str]:
        if model not in self._described:
            self._described[model] = hash_description(model)
        return self._described[model]
