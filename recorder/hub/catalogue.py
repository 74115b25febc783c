"""An episode as anyone may see it. Searching for episodes is `rewards`', which knows their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from teleop.hub.db import Database
from teleop.wire.driver import DriverKind


class UnknownEpisodeError(LookupError):
    """The hub has no such episode."""


@dataclass(frozen=True, slots=True)
class DriverView:
    """Who or what drove, as the operator said: a person, a script or a policy, by its name and its file's SHA-256."""

    kind: DriverKind
    name: str
    """Empty for a person, as is `sha256`."""
    sha256: str


@dataclass(frozen=True, slots=True)
class EpisodeView:
    """One episode, as anyone may see it."""

    episode: str
    state: EpisodeState
    robot: str
    operator: str
    task: str
    driver: DriverView | None
    """None if an earlier release began it."""
    model: str | None
    """The robot's, as `duration_s` by what its host sealed; None until then."""
    duration_s: float | None
    """In a simulation's own time, or on the host's clock."""
    steps: int | None
    success: bool | None
    valid: bool | None
    reason: str | None
    digest: str | None
    content_root: str | None
    sha256: str | None
    size: int | None
    receipt: Mapping[str, Any] | None
    created_ms: int
    trust: TrustClass | None
    """What it rests on, once verified: `replayed` by this hub, or `witnessed` by the robot's host alone."""
    next_try_ms: int | None
    """When it is checked again, if it is held."""
    another_look: bool
    """Whether it is rejected, its files are here, and its operator may still ask for another look."""
    twin: str | None
    """The episode that it repeats, if it is rejected for that."""
    private: bool
    """Whether its recording is given only to those who may read it (docs/privacy.md)."""


@dataclass(frozen=True, slots=True)
class SeenEpisode(EpisodeView):
    """One episode, for whoever asks for it alone."""

    withdrawn_ms: int | None
    """When its operator took it back: no search finds it, and no new version of a data set has it. None if not."""


class Catalogue:
    """The hub's episodes, read only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, episode: str) -> EpisodeView:
        """Return one episode; raise UnknownEpisodeError if there is none."""
        with self._database() as db:
            row = db.get(EpisodeRow, episode)
        if row is None:
            raise UnknownEpisodeError(f"expected an episode of this hub, got {episode[:80]!r}")
        return view(row)


def view(row: EpisodeRow) -> EpisodeView:
    """Return what anyone may see of a row."""
    return EpisodeView(
        episode=row.episode,
        state=row.state,
        robot=row.robot,
        operator=row.operator,
        task=row.task,
        driver=_driver(row),
        model=row.model,
        duration_s=None if row.duration_ms is None else row.duration_ms / 1000,
        steps=row.steps,
        success=row.success,
        valid=row.valid,
        reason=row.reason,
        digest=row.digest,
        content_root=row.content_root,
        sha256=row.sha256,
        size=row.size,
        receipt=row.receipt,
        created_ms=row.created_ms,
        trust=row.trust,
        next_try_ms=row.next_try_ms,
        another_look=_may_be_looked_at(row),
        twin=row.twin,
        private=row.private,
    )


def seen(found: EpisodeView, withdrawn_ms: int | None) -> SeenEpisode:
    """Return an episode with when its operator took it back."""
    return SeenEpisode(**{one.name: getattr(found, one.name) for one in fields(EpisodeView)}, withdrawn_ms=withdrawn_ms)


def _driver(row: EpisodeRow) -> DriverView | None:
    if row.driver_kind is None:
        return None
    return DriverView(row.driver_kind, row.driver_name or "", row.driver_sha256 or "")


def _may_be_looked_at(row: EpisodeRow) -> bool:
    there = row.size is not None and row.erased_ms is None
    return there and row.state is EpisodeState.REJECTED and row.looked_again_ms is None
