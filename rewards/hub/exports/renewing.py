"""A release with an episode whose operator's consent has ended gives way: the newest version is released instead.

What is to be done follows from the tables alone, so a crash, a full line of jobs or a hub that was away loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import structlog
from sqlalchemy import select

from rewards.datasets.version import DatasetVersion
from rewards.hub.exports.releases import Versions
from rewards.hub.exports.releasing import Request, asked_for, request_of
from rewards.hub.jobs import DAY_MS, Job, Jobs, JobsFullError, JobState, TooManyJobsError, UnknownJobError
from rewards.tables import JobRow, ReleaseRow
from teleop.clock import now_ms
from teleop.hub.db import Database

EVERY_S: Final = 15.0
"""How often it is looked whether consent has ended."""
_AGAIN_MS: Final = DAY_MS
"""When a release that failed is asked for again."""
_log = structlog.get_logger()


class Renewing:
    """Blocking: call it off the event loop."""

    def __init__(self, database: Database, versions: Versions, jobs: Jobs) -> None:
        self._database, self._versions, self._jobs = database, versions, jobs

    def renew(self) -> list[Job]:
        """Ask for the release of each version that is to take another's place; return what was asked for."""
        made = []
        for before, version in self._due():
            asked = asked_for(Request(version.name, version.version, version.digest, "lerobot", before.order), version)
            if not self._may_ask(asked.id):
                continue
            try:
                made.append(self._jobs.ask(asked, version.owner))
            except (TooManyJobsError, JobsFullError) as error:
                _log.warning("a release waits for room in the line", dataset=version.name, reason=str(error))
                continue
            _log.info("consent ended: the version without it is released", dataset=version.name, job=made[-1].id)
        return made

    def _due(self) -> Iterator[tuple[Request, DatasetVersion]]:
        """Yield how the newest release of a data set was asked for that is taken down, and what takes its place."""
        query = select(ReleaseRow.name, ReleaseRow.digest, JobRow.request).join(JobRow, JobRow.id == ReleaseRow.job)
        with self._database() as db:
            rows = db.execute(query.order_by(ReleaseRow.name, ReleaseRow.version)).all()
        newest = {row.name: row for row in rows}  # of each name, the last one stays
        down = self._versions.withdrawn([row.digest for row in newest.values()]) if newest else frozenset()
        for row in newest.values():
            if row.digest not in down or not row.request:
                continue
            version = self._versions.newest(row.name)
            if version is not None and version.episodes and not self._versions.withdrawn([version.digest]):
                yield request_of(row.request), version

    def _may_ask(self, job: str) -> bool:
        """Whether nobody has asked for it yet, or it failed a while ago."""
        try:
            found = self._jobs.get(job)
        except UnknownJobError:
            return True
        return found.state is JobState.FAILED and (found.ended_ms or 0) < now_ms() - _AGAIN_MS
