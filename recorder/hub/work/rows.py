"""The table of jobs that travel: what is asked, and what came of it. Whose turn it is, pgqueuer's own tables say."""

from __future__ import annotations

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from teleop.hub.db import Base


class WorkRow(Base):
    """A job, from when a hub puts it there until it has read what came of it. Only on PostgreSQL has it any rows."""

    __tablename__ = "work"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the call's name and arguments: the same is the same job."""
    kind: Mapped[str] = mapped_column(String(16))
    """A `recorder.hub.work.named.Kind`."""
    call: Mapped[str] = mapped_column(String(32))
    asked: Mapped[bytes] = mapped_column(LargeBinary)
    """The arguments, msgpack."""
    outcome: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What came of it or was raised, msgpack; None until it is done. Written once."""
    tries: Mapped[int] = mapped_column(default=0)
    """How often it was begun."""
    what: Mapped[str] = mapped_column(String(16), default="")
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    asked_ms: Mapped[int] = mapped_column(BigInteger)
    begun_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When it was begun last; None while it waits."""
