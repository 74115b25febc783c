"""Listing and searching episodes, newest first, page by page: a page continues after a row, not after a count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, and_, or_, select

from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from teleop.hub.db import Database
from teleop.wire.driver import DriverKind

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200


class UnknownEpisodeError(LookupError):
    """The hub has no such episode."""


class CursorError(ValueError):
    """`after` is not what an earlier page gave as `next`."""


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to list; None matches anything."""

    task: str | None = None
    operator: str | None = None
    robot: str | None = None
    state: EpisodeState | None = None
    driver: DriverKind | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some episodes, and the cursor of the next page, or None at the end."""

    episodes: list[EpisodeView]
    next: str | None


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

    def page(self, wanted: Wanted, limit: int = PAGE_DEFAULT, after: str | None = None) -> Page:
        """Return at most `limit` (up to 200) episodes, newest first, after a cursor; raise CursorError if it is bad."""
        limit = min(max(1, limit), PAGE_MAX)
        newest_first = (EpisodeRow.created_ms.desc(), EpisodeRow.episode.desc())
        query = _filtered(wanted).order_by(*newest_first).limit(limit + 1)
        if after is not None:
            created_ms, episode = _read_cursor(after)
            older = EpisodeRow.created_ms < created_ms
            same = and_(EpisodeRow.created_ms == created_ms, EpisodeRow.episode < episode)
            query = query.where(or_(older, same))
        with self._database() as db:
            rows = list(db.scalars(query))
        shown = rows[:limit]
        more = f"{shown[-1].created_ms}.{shown[-1].episode}" if len(rows) > limit else None
        return Page([view(row) for row in shown], more)


def view(row: EpisodeRow) -> EpisodeView:
    """Return what anyone may see of a row."""
    return EpisodeView(
        episode=row.episode,
        state=row.state,
        robot=row.robot,
        operator=row.operator,
        task=row.task,
        driver=_driver(row),
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
    )


def _driver(row: EpisodeRow) -> DriverView | None:
    if row.driver_kind is None:
        return None
    return DriverView(row.driver_kind, row.driver_name or "", row.driver_sha256 or "")


def _may_be_looked_at(row: EpisodeRow) -> bool:
    there = row.size is not None and row.erased_ms is None
    return there and row.state is EpisodeState.REJECTED and row.looked_again_ms is None


def _filtered(wanted: Wanted) -> Select[EpisodeRow]:
    query = select(EpisodeRow)
    for name in ("task", "operator", "robot", "state"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(getattr(EpisodeRow, name) == value)
    return query if wanted.driver is None else query.where(EpisodeRow.driver_kind == wanted.driver)


def _read_cursor(after: str) -> tuple[int, str]:
    created_ms, _, episode = after.partition(".")
    if not (created_ms.isascii() and created_ms.isdecimal() and len(created_ms) <= 18 and episode):
        raise CursorError(f"expected the `next` of an earlier page, got {after[:80]!r}")
    return int(created_ms), episode
