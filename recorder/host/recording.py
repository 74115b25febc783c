"""The host's recorder: it turns the stream of episode events into sealed bundles on disk.

Below `folder`:

    recording/<episode>.journal    open, or ended and not yet made into a file, or left by a crash
    recording/<episode>.h5         finished, not yet sealed
    sealed/<episode>/              a bundle waiting for its upload
    uploaded/ refused/             bundles that the hub took or refused (`uploader.py`)
    damaged/                       what a crash left unreadable; kept for someone to look at
    previous                       the digest of the last sealed episode

Nothing here can stall control: the session only ever puts events into the queue. No episode holds up the next: one
thread writes journals as steps come; another turns ended journals into files, in order, and seals them. A disk that is
full ends the episode, as invalid, and neither thread: both go on once there is room (`room.py`).
Why threads: `docs/decisions/0019-a-journal-while-driving.md`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog
from eth_account.signers.local import LocalAccount

from recorder.file.journal import JOURNAL_SUFFIX
from recorder.file.writer import EpisodeWriter
from recorder.host.room import CHECK_S, Room
from recorder.host.sealer import Ended, Sealer
from recorder.proof.description import hash_description
from recorder.proof.seal import SealedEpisode
from sim.robot import RobotModel
from teleop.identity import Domain
from teleop.steps import EpisodeEnd, EpisodeEvent, EpisodeStart, Events, Note, Step
from teleop.wire.reasons import EndReason

_log = structlog.get_logger()
_ENDED: Final = 16
"""How many ended episodes may wait to be sealed; beyond that, steps wait in their own queue, which is bounded."""


class Films(Protocol):
    """The cameras that record beside the steps: `teleop.host.cameras`, put together with the recorder by the host."""

    def record(self, start: EpisodeStart, folder: Path) -> None:
        """Record an episode into films in that folder; raise OSError if they cannot be created."""

    def end(self, t_last_ns: int) -> None:
        """Stop, with the pictures up to that time. Idempotent; whoever reads a film then waits for its end."""


class Recorder:
    """Consumes episode events and passes each sealed episode on. One thread calls `recover`, then `run`."""

    def __init__(
        self,
        folder: Path,
        key: LocalAccount,
        domain: Domain,
        hand_on: Callable[[SealedEpisode], None],
        room: Room | None = None,
        films: Films | None = None,
    ) -> None:
        """`key` is the robot's; `hand_on` must not block (an uploader's queue), and is called from another thread.

        `room` is told of whatever keeps episodes from being recorded; `films` record what cameras see.
        """
        self._films, self._seen_ns = films, 0
        self._room = room or Room(folder, lambda _trouble: None)
        self._recording, self._sealer = folder / "recording", Sealer(folder, key, domain, hand_on, self._room)
        self._journal: Path | None = None
        """The journal of the episode that has begun and not ended, even if writing it failed."""
        self._writer: EpisodeWriter | None = None
        self._cut = EndReason.HOST_LOST
        """Why the journal lacks its end, if it does."""
        self._described: dict[RobotModel, dict[str, str]] = {}

    def recover(self) -> list[SealedEpisode]:
        """Seal what a crash left: ended episodes as they are, others as invalid (`host_lost`)."""
        return self._sealer.recover()

    def run(self, events: Events) -> None:
        """Record until None comes. An episode that is still open is left open, as after a crash; others are sealed."""
        ended: queue.Queue[Ended | None] = queue.Queue(_ENDED)
        sealing = threading.Thread(target=self._sealer.run, args=(ended,), name="sealer")
        sealing.start()
        self._room.check()
        while True:
            try:
                event = events.get(timeout=CHECK_S)
            except queue.Empty:
                if self._writer is None:
                    self._room.check()
                continue
            if event is None:
                break
            try:
                self._take(event, ended)
            except Exception as error:  # noqa: BLE001  the supervisor: one broken recording must not end the next
                self._cut = self._room.failed(error).reason
                self._abandon()
                with contextlib.suppress(OSError):  # the log may be on the disk that is full
                    _log.exception("recording failed", error=str(error))
        self._abandon()
        ended.put(None)
        sealing.join()

    def _take(self, event: EpisodeEvent, ended: queue.Queue[Ended | None]) -> None:
        match event:
            case EpisodeStart():
                self._start(event)
            case Step():
                if self._writer is not None:
                    self._writer.append(event)
                    self._seen_ns = event.t_observed_ns
            case Note():
                if self._writer is not None:
                    self._writer.note(event)
            case EpisodeEnd():
                self._end(event, ended)

    def _start(self, start: EpisodeStart) -> None:
        self._abandon()
        self._journal, self._cut = None, EndReason.HOST_LOST
        journal = self._recording / (start.episode + JOURNAL_SUFFIX)
        self._writer = EpisodeWriter.start(journal, start, self._describe(start.spec.model))
        self._journal, self._seen_ns = journal, start.t_mono_ns
        if self._films is not None:
            self._films.record(start, self._recording)

    def _end(self, end: EpisodeEnd, ended: queue.Queue[Ended | None]) -> None:
        journal, self._journal = self._journal, None
        if journal is None:
            return
        try:
            if self._writer is not None:
                self._writer.end(end)
        except Exception as error:
            self._cut = self._room.failed(error).reason
            raise
        finally:  # if writing failed, what was committed still counts, as an invalid episode
            self._abandon()
            ended.put(Ended(journal, self._cut))

    def _abandon(self) -> None:
        """Record no more of the episode. Its films are told before anyone reads them."""
        if self._films is not None:
            self._films.end(self._seen_ns)
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abandon()

    def _describe(self, model: RobotModel) -> dict[str, str]:
        if model not in self._described:
            self._described[model] = hash_description(model)
        return self._described[model]
