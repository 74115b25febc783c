"""A data set's version for catalogues, over HTTP: Croissant, and the table of episodes that it describes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from recorder.hub.ranges import NOT_KEPT
from recorder.hub.readers import asking
from recorder.hub.tables import EpisodeRow
from rewards.datasets.croissant import EpisodeRecord, croissant, table
from rewards.datasets.version import DatasetVersion, Member
from rewards.hub.datasets import shelf
from rewards.hub.datasets.api import SignedIn
from rewards.hub.datasets.reading import sees
from rewards.hub.datasets.sets import Sets
from teleop.hub.db import Database
from teleop.hub.errors import ApiError

_AT_ONCE: Final = 1000
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable", "Access-Control-Allow-Origin": "*"}
"""A version does not change, and catalogues read it from their own pages."""
_JSON_LD: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/ld+json": {}}}}
_CSV: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


class _Routes:
    """The routes, each a method of its own. They block, so each runs in a thread."""

    def __init__(self, database: Database, url: str, signed_in: SignedIn | None) -> None:
        self._database, self._url, self._signed_in = database, url.rstrip("/"), signed_in
        self._sets = Sets(database)

    def croissant(self, request: Request, ns: str, name: str, n: int) -> Response:
        """Return a version in Croissant 1.1, as JSON-LD; of a private one, to its readers."""
        version, headers = self._version(request, ns, name, n)
        page = f"{self._url}/#/data/{version.name}/{version.version}"
        said = croissant(version, self._records(version), hub=self._url, page=page)
        data = json.dumps(said, ensure_ascii=False, indent=1).encode()
        return Response(data, media_type="application/ld+json", headers=headers)

    def table(self, request: Request, ns: str, name: str, n: int) -> Response:
        """Return a version's episodes as a table (CSV), in its order; of a private one, to its readers."""
        version, headers = self._version(request, ns, name, n)
        data = table(self._records(version))
        return Response(data, media_type="text/csv; charset=utf-8; header=present", headers=headers)

    def _version(self, request: Request, ns: str, name: str, n: int) -> tuple[DatasetVersion, dict[str, str]]:
        """Return a version, and how long its answers are kept; raise ApiError if whoever asks may not see it."""
        found = self._sets.version(f"{ns}/{name}", n)
        if found is None:
            said = f"there is no data set {ns[:40]}/{name[:40]} here, or no version {n} of it"
            raise ApiError(404, "unknown_dataset", said)
        with self._database() as db:
            here = shelf.at(db, f"{ns}/{name}@{n}")
            if not here.row.private:
                return found, _FOR_EVER
            wallet = None if self._signed_in is None else asking(self._signed_in, request).wallet()
            if not sees(db, here, wallet):
                said = f"{here.dataset.name}@{n} has private episodes: only its owner and its readers see which"
                raise ApiError(403, "private_dataset", said)
        return found, {"Cache-Control": NOT_KEPT}

    def _records(self, version: DatasetVersion) -> list[EpisodeRecord]:
        with self._database() as db:
            return list(_records(db, version.episodes, self._url))


def router(database: Database, url: str, signed_in: SignedIn | None = None) -> APIRouter:
    """Return the routes; `url` is what browsers call this hub. Without `signed_in`, nobody reads what is private."""
    ours, routes = _Routes(database, url, signed_in), APIRouter()
    one = "/api/sets/{ns}/{name}/versions/{n}"
    routes.get(f"{one}/croissant.json", response_class=Response, responses=_JSON_LD)(ours.croissant)
    routes.get(f"{one}/episodes.csv", response_class=Response, responses=_CSV)(ours.table)
    return routes


def _records(db: Session, members: tuple[Member, ...], url: str) -> Iterator[EpisodeRecord]:
    for at in range(0, len(members), _AT_ONCE):
        some = members[at : at + _AT_ONCE]
        wanted = select(EpisodeRow).where(EpisodeRow.episode.in_([one.episode for one in some]))
        rows = {row.episode: row for row in db.scalars(wanted)}
        for one in some:
            yield _record(one, rows[one.episode], url)


def _record(member: Member, row: EpisodeRow, url: str) -> EpisodeRecord:
    made = datetime.fromtimestamp(row.created_ms / 1000, UTC)
    return EpisodeRecord(
        episode=member.episode,
        digest=member.digest,
        split=member.split,
        url=f"{url}/api/episodes/{member.episode}/files/episode.h5",
        sha256=member.sha256,
        bytes=member.size,
        task=row.task,
        robot=row.robot,
        model=row.model or "",
        operator=row.operator,
        driver="" if row.driver_kind is None else row.driver_kind.value,
        success=row.success,
        steps=row.steps,
        duration_s=(row.duration_ms or 0) / 1000,
        trust="" if row.trust is None else row.trust.value,
        made=made.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
