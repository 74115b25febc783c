"""The host's second thread: from ended journals to sealed bundles, each continuing the one before.

Whenever a crash comes, `recover` continues from what is in the folder (see `recording.py`).
"""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog
from eth_account.signers.local import LocalAccount

from recorder.file.episode import EpisodeError
from recorder.file.journal import JOURNAL_SUFFIX, NothingRecordedError, finish, forget
from recorder.host.room import FULL, Room
from recorder.proof.manifest import EPISODE_FILE, NO_PREVIOUS
from recorder.proof.seal import SealedEpisode, read_sealed, seal
from teleop.cameras.film import FILM_SUFFIX, films_of
from teleop.files import move, write_atomic
from teleop.identity import Domain
from teleop.wire.reasons import EndReason

_log = structlog.get_logger()
_FOLDERS: Final = ("recording", "sealed", "uploaded", "refused", "damaged")
_FILE_SUFFIX: Final = ".h5"
_OLD_SUFFIX: Final = ".part.h5"
"""The open file of releases that recorded straight into HDF5."""
_BUNDLE_SUFFIX: Final = ".bundle"
RETRY_S: Final = 1.0
"""How soon an episode is sealed again that the disk did not take."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A journal that grows no more."""

    journal: Path
    cut: EndReason
    """Why it lacks its end, if it does."""


class Sealer:
    """Seals the episodes of one folder. `recover` first, then `run` in a thread."""

    def __init__(
        self,
        folder: Path,
        key: LocalAccount,
        domain: Domain,
        hand_on: Callable[[SealedEpisode], None],
        room: Room,
    ) -> None:
        """`key` is the robot's; `hand_on` must not block; `room` is told of a disk that takes no more."""
        self._folder, self._key, self._domain, self._hand_on = folder, key, domain, hand_on
        self._room = room
        self._waiting: deque[Ended] = deque()
        self._recording = folder / "recording"
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)

    def recover(self) -> list[SealedEpisode]:
        """Seal what a crash left: ended episodes as they are, others as invalid (`host_lost`).

        What the disk does not take is left to `run`.
        """
        for old in sorted(self._recording.glob("*" + _OLD_SUFFIX)):
            self._set_aside_old(old)
        for leftover in self._recording.glob("*.tmp"):
            leftover.unlink()
        found: dict[str, tuple[bool, int, str]] = {}
        for suffix in (JOURNAL_SUFFIX, _FILE_SUFFIX, _BUNDLE_SUFFIX):
            for path in self._recording.glob("*" + suffix):
                found[path.stem] = suffix != _BUNDLE_SUFFIX, path.stat().st_mtime_ns, path.stem
        self._remove_films(found)
        for episode in sorted(found, key=found.__getitem__):
            self._waiting.append(Ended(self._recording / (episode + JOURNAL_SUFFIX), EndReason.HOST_LOST))
        return self._seal_waiting()

    def run(self, ended: queue.Queue[Ended | None]) -> None:
        """Seal ended journals, in order, until None comes. One that the disk does not take is tried again until then.

        Each seal continues the one before, so those after it wait.
        """
        while True:
            try:
                one = ended.get(timeout=RETRY_S if self._waiting else None)
            except queue.Empty:
                pass
            else:
                if one is None:
                    break
                self._waiting.append(one)
            self._seal_waiting()
        self._seal_waiting()
        for left in self._waiting:
            _log.error("an episode is not sealed; it is tried again when the host starts", episode=left.journal.stem)

    def _seal_waiting(self) -> list[SealedEpisode]:
        sealed: list[SealedEpisode | None] = []
        while self._waiting:
            try:
                sealed.append(self._seal_ended(self._waiting[0]))
            except Exception as error:  # noqa: BLE001  the supervisor: one broken episode must not end the next
                if isinstance(error, OSError) and error.errno in FULL:
                    self._room.failed(error)
                    break
                with contextlib.suppress(OSError):
                    _log.exception("sealing failed; it is tried again when the host starts", error=str(error))
            self._waiting.popleft()
        return [one for one in sealed if one is not None]

    def _seal_ended(self, ended: Ended) -> SealedEpisode | None:
        """Go on from what an earlier try, or a crash, has left."""
        file = ended.journal.with_suffix(_FILE_SUFFIX)
        building, placed = file.with_suffix(_BUNDLE_SUFFIX), self._folder / "sealed" / file.stem
        if placed.exists():
            forget(ended.journal)
            sealed = read_sealed(placed)
            self._hand_on(sealed)
            return sealed
        if building.exists() and (whole := self._finish_bundle(building)) is not None:
            forget(ended.journal)
            return whole
        if not file.exists():
            return self._seal_journal(ended.journal, ended.cut)
        forget(ended.journal)  # it was to be removed next
        return self._seal(file)

    def _seal_journal(self, journal: Path, cut: EndReason) -> SealedEpisode | None:
        file = journal.with_suffix(_FILE_SUFFIX)
        try:
            if not finish(journal, file, cut, self._set_aside):
                _log.warning("recording was cut off", episode=journal.stem, reason=cut.value)
        except NothingRecordedError:
            forget(journal)
            return None
        except EpisodeError as error:
            self._set_aside(journal, error)
            for film in films_of(journal):
                move(film, self._folder / "damaged" / film.name)
            return None
        return self._seal(file)

    def _seal(self, file: Path) -> SealedEpisode | None:
        building = file.with_suffix(_BUNDLE_SUFFIX)
        try:
            sealed = seal(file, building, key=self._key, domain=self._domain, previous=self._previous())
        except EpisodeError as error:
            self._set_aside(file, error)
            return None
        return self._put_in_place(sealed)

    def _put_in_place(self, sealed: SealedEpisode) -> SealedEpisode:
        """Record the digest first, so that the next episode continues this one even if a crash comes now."""
        write_atomic(self._folder / "previous", sealed.digest.encode())
        folder = self._folder / "sealed" / sealed.episode
        move(sealed.folder, folder)
        _log.info("episode sealed", episode=sealed.episode, digest=sealed.digest, valid=sealed.valid)
        placed = replace(sealed, folder=folder)
        self._hand_on(placed)
        return placed

    def _finish_bundle(self, building: Path) -> SealedEpisode | None:
        """Put a whole bundle in place, or remove an unfinished one."""
        if (building / EPISODE_FILE).exists():
            return self._put_in_place(read_sealed(building))
        for file in building.iterdir():
            file.unlink()
        building.rmdir()
        return None

    def _previous(self) -> str:
        """Return the last sealed episode's digest, or zeros before the first."""
        path = self._folder / "previous"
        return path.read_text().strip() if path.exists() else NO_PREVIOUS

    def _remove_films(self, episodes: Collection[str]) -> None:
        """Remove films of which there is no episode: a crash came before its first step, or after its last."""
        for film in self._recording.glob("*" + FILM_SUFFIX):
            if film.name.partition(".")[0] not in episodes:
                film.unlink()

    def _set_aside(self, file: Path, error: Exception) -> None:
        _log.error("recording is damaged", file=file.name, reason=type(error).__name__, error=str(error))
        move(file, self._folder / "damaged" / file.name)

    def _set_aside_old(self, part: Path) -> None:
        how = "an earlier release left it open; to save it, move it back to recording/ and start that release once"
        _log.error("recording is of an earlier release", file=part.name, moved_to="damaged", how=how)
        move(part, self._folder / "damaged" / part.name)
