"""How much work waits in a hub's PostgreSQL, and how much is in hand, of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from armshare.failures import PlatformError
from armshare.migrations import newest
from armshare.settings import Settings
from recorder.hub.work.named import Kind
from teleop.hub.db import open_engine

_COUNT: Final = text("""
    SELECT entrypoint,
        count(*) FILTER (WHERE status = 'queued'),
        count(*) FILTER (WHERE status = 'picked'),
        coalesce(extract(epoch FROM now() - min(created) FILTER (WHERE status = 'queued')), 0)
    FROM pgqueuer GROUP BY entrypoint
""")
_VERSION: Final = text("SELECT version_num FROM alembic_version")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One kind's."""

    kind: Kind
    waiting: int
    running: int
    """In a worker's hands, a lost one's included until another takes them."""
    oldest_s: float
    """How long the oldest of those that wait has waited; 0 if none does."""


def waiting(settings: Settings) -> list[Waiting]:
    """Return every kind's; raise PlatformError if the database cannot be used, or is not of this version."""
    engine = open_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            rows = {row[0]: Waiting(Kind(row[0]), row[1], row[2], float(row[3])) for row in connection.execute(_COUNT)}
            version = connection.scalar(_VERSION)
    except DatabaseError as error:
        raise unusable(settings, error) from error
    finally:
        engine.dispose()
    if version != newest():
        said = f"its tables are of version {version}, and this program's are of {newest()}"
        raise PlatformError(
            f"The hub of {settings.database_named} is of another version ({said}): update the older one."
        )
    return [rows.get(kind, Waiting(kind, 0, 0, 0.0)) for kind in Kind]


def unusable(settings: Settings, error: DatabaseError) -> PlatformError:
    """Return what to say of a database that has no jobs."""
    said = " ".join(str(error.orig).split())
    how = "Name the hub's own with --database, and start the hub first: it makes the tables"
    return PlatformError(f"The database {settings.database_named} cannot be used ({said}). {how}.")
