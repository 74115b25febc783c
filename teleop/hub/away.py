"""A database that is away: how that is recognized, whoever reports it.

It says nothing about a request: nothing of it was kept, and it can be repeated once the database is back. A hub neither
ends nor forgets anything because of it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError, TimeoutError  # noqa: A004  SQLAlchemy calls it so

_SQLITE_BUSY: Final = frozenset({5, 6})
"""Another connection has held it for longer than ours waits."""
_POSTGRESQL: Final = frozenset({"57P01", "57P02", "57P03", "53300"})
"""It goes down, went down, comes up, or has no connection to spare; class 08 is of lost connections."""


def is_away(error: BaseException) -> bool:
    """Whether a database that does not answer raised this; a wait for a free connection that took too long, too."""
    if isinstance(error, TimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state, busy = getattr(error.orig, "sqlstate", None), getattr(error.orig, "sqlite_errorcode", None)
    if busy is not None:
        return busy & 0xFF in _SQLITE_BUSY
    if state is not None:
        return state in _POSTGRESQL or state.startswith("08")
    return error.connection_invalidated or _is_postgresqls(error)


def _is_postgresqls(error: DBAPIError) -> bool:
    """Whether PostgreSQL's client says it without the server: there was no connection to get a state by."""
    return isinstance(error, OperationalError) and type(error.orig).__module__.startswith("psycopg")
