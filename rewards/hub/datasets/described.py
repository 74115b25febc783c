"""A data set's version for catalogues, over HTTP: Croissant, and the table of episodes that it describes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from recorder.hub.tables import EpisodeRow
from rewards.datasets.croissant import EpisodeRecord, croissant, table
from rewards.datasets.version import DatasetVersion, Member
from rewards.hub.datasets.refusals import UnknownDatasetError
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

    def __init__(self, database: Database, url: str) -> None:
        self._database, self._url = database, url.rstrip("/")
        self._sets = Sets(database)

    def croissant(self, ns: str, name: str, n: int) -> Response:
        """Return a version in Croissant 1.1, as JSON-LD."""
        version = self._version(ns, name, n)
        page = f"{self._url}/#/data/{version.name}/{version.version}"
        said = croissant(version, self._records(version), hub=self._url, page=page)
        data = json.dumps(said, ensure_ascii=False, indent=1).encode()
        return Response(data, media_type="application/ld+json", headers=_FOR_EVER)

    def table(self, ns: str, name: str, n: int) -> Response:
        """Return a version's episodes as a table (CSV), in its order."""
        data = table(self._records(self._version(ns, name, n)))
        return Response(data, media_type="text/csv; charset=utf-8; header=present", headers=_FOR_EVER)

    def _version(self, ns: str, name: str, n: int) -> DatasetVersion:
        found = self._sets.version(f"{ns}/{name}", n)
        if found is None:
            said = UnknownDatasetError(f"there is no data set {ns[:40]}/{name[:40]} here, or no version {n} of it")
            raise ApiError(404, "unknown_dataset", str(said))
        return found

    def _records(self, version: DatasetVersion) -> list[EpisodeRecord]:
        with self._database() as db:
            return list(_records(db, version.episodes, self._url))


def router(database: Database, url: str) -> APIRouter:
    """Return the routes; `url` is what browsers call this hub."""
    ours, routes = _Routes(database, url), APIRouter()
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
