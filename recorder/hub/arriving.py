"""How much of an episode has arrived, and which episodes of a wallet wait for its signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from recorder.hub.catalogue import UnknownEpisodeError
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from recorder.hub.uploads import Upload, Uploads
from recorder.proof.case import Ticket
from teleop.hub.db import Database

UNSIGNED_MAX: Final = 200
"""How many are listed, newest first; once some are signed or discarded, older ones follow."""
_WAITING: Final = (EpisodeState.RECORDING, EpisodeState.SEALED, EpisodeState.UPLOADED)


@dataclass(frozen=True, slots=True)
class Arrival:
    """How much of an episode's file the hub has, bytes."""

    episode: str
    state: EpisodeState
    received: int
    length: int | None
    """None until its host has begun to send it."""
    reason: str | None = None
    """Which gate refused it, and why, if it is `rejected`: nothing more comes."""


@dataclass(frozen=True, slots=True)
class Unsigned:
    """An episode that its operator has neither signed nor discarded. In the state `uploaded` it can be signed."""

    episode: str
    state: EpisodeState
    robot: str
    task: str
    steps: int | None
    """None, as `success`, until all of it has arrived."""
    success: bool | None
    received: int
    length: int | None
    created_ms: int


class Arriving:
    """Reads both from the hub's tables. Blocking: call it off the event loop."""

    def __init__(self, database: Database, uploads: Uploads) -> None:
        self._database, self._uploads = database, uploads

    def of(self, episode: str, ticket: Ticket | None) -> Arrival:
        """Return how much has arrived of an episode; raise UnknownEpisodeError if the hub never asked for it."""
        with self._database() as db:
            row = db.get(EpisodeRow, episode)
        if row is None and ticket is None:
            raise UnknownEpisodeError(f"expected an episode of this hub, got {episode[:80]!r}")
        if row is None:
            return Arrival(episode, EpisodeState.RECORDING, 0, None)
        arrived = _bytes(row, self._uploads.of_episodes([episode]).get(episode))
        return Arrival(episode, row.state, *arrived, row.reason if row.state is EpisodeState.REJECTED else None)

    def unsigned(self, operator: str) -> list[Unsigned]:
        """Return a wallet's episodes that are on their way or wait for its signature, newest first."""
        waiting = select(EpisodeRow).where(EpisodeRow.operator == operator, EpisodeRow.state.in_(_WAITING))
        newest_first = EpisodeRow.created_ms.desc(), EpisodeRow.episode.desc()
        with self._database() as db:
            rows = list(db.scalars(waiting.order_by(*newest_first).limit(UNSIGNED_MAX)))
        coming = self._uploads.of_episodes([row.episode for row in rows if row.size is None])
        return [_unsigned(row, coming.get(row.episode)) for row in rows]


def _unsigned(row: EpisodeRow, upload: Upload | None) -> Unsigned:
    received, length = _bytes(row, upload)
    return Unsigned(
        episode=row.episode,
        state=row.state,
        robot=row.robot,
        task=row.task,
        steps=row.steps,
        success=row.success,
        received=received,
        length=length,
        created_ms=row.created_ms,
    )


def _bytes(row: EpisodeRow, upload: Upload | None) -> tuple[int, int | None]:
    """Return how many bytes have arrived, and of how many."""
    if row.size is not None:
        return row.size, row.size
    return (0, None) if upload is None else (upload.offset, upload.length)
