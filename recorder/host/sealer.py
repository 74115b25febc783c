"""The host's second thread: from ended journals to sealed bundles, each continuing the one before.

Whenever a crash comes, `recover` continues from what is in the folder (see `recording.py`).
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog
from eth_account.signers.local import LocalAccount

from recorder.file.episode import EpisodeError
from recorder.file.files import move, write_atomic
from recorder.file.journal import JOURNAL_SUFFIX, NothingRecordedError, finish
from recorder.proof.manifest import EPISODE_FILE, NO_PREVIOUS
from recorder.proof.seal import SealedEpisode, read_sealed, seal
from teleop.identity import Domain

_log = structlog.get_logger()
_FOLDERS: Final = ("recording", "sealed", "uploaded", "refused", "damaged")
_FILE_SUFFIX: Final = ".h5"
_OLD_SUFFIX: Final = ".part.h5"
"""The open file of releases that recorded straight into HDF5."""
_BUNDLE_SUFFIX: Final = ".bundle"


class Sealer:
    """Seals the episodes of one folder. `recover` first, then `run` in a thread."""

    def __init__(
        self, folder: Path, key: LocalAccount, domain: Domain, hand_on: Callable[[SealedEpisode], None]
    ) -> None:
        """`key` is the robot's; `hand_on` must not block."""
        self._folder, self._key, self._domain, self._hand_on = folder, key, domain, hand_on
        self._recording = folder / "recording"
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)

    def recover(self) -> list[SealedEpisode]:
        """Seal what a crash left: ended episodes as they are, others as invalid (`host_lost`)."""
        handed = self._finish_bundles()
        for old in sorted(self._recording.glob("*" + _OLD_SUFFIX)):
            self._set_aside_old(old)
        for leftover in self._recording.glob("*.tmp"):
            leftover.unlink()
        files, journals = list(self._recording.glob("*" + _FILE_SUFFIX)), []
        for journal in self._recording.glob("*" + JOURNAL_SUFFIX):
            if journal.with_suffix(_FILE_SUFFIX) in files:
                journal.unlink()  # the crash came just before it was to be removed
            else:
                journals.append(journal)
        for found in sorted([*files, *journals], key=lambda path: (path.stat().st_mtime_ns, path.name)):
            sealed = self._seal(found) if found in files else self._seal_journal(found)
            if sealed is not None:
                handed.append(sealed)
        return handed

    def run(self, ended: queue.Queue[Path | None]) -> None:
        """Seal ended journals, in order, until None comes."""
        while (journal := ended.get()) is not None:
            try:
                self._seal_journal(journal)
            except Exception as error:  # noqa: BLE001  the supervisor: one broken episode must not end the next
                _log.exception("sealing failed; it is tried again when the host starts", error=str(error))

    def _seal_journal(self, journal: Path) -> SealedEpisode | None:
        file = journal.with_suffix(_FILE_SUFFIX)
        try:
            if not finish(journal, file):
                _log.warning("recording was cut off", episode=journal.stem)
        except NothingRecordedError:
            journal.unlink()
            return None
        except EpisodeError as error:
            self._set_aside(journal, error)
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

    def _finish_bundles(self) -> list[SealedEpisode]:
        """Put whole bundles in place, and remove unfinished ones."""
        placed = []
        for building in sorted(self._recording.glob("*" + _BUNDLE_SUFFIX)):
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

    def _set_aside_old(self, part: Path) -> None:
        how = "an earlier release left it open; to save it, move it back to recording/ and start that release once"
        _log.error("recording is of an earlier release", file=part.name, moved_to="damaged", how=how)
        move(part, self._folder / "damaged" / part.name)
