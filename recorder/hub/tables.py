"""The recorder's tables: episodes, their uploads, and the log."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from recorder.hub.states import EpisodeState
from recorder.proof.bundle import TrustClass
from teleop.hub.db import Base
from teleop.wire.driver import NAME_MAX, DriverKind

_STATES = Enum(
    EpisodeState, native_enum=False, length=16, values_callable=lambda states: [state.value for state in states]
)
_DRIVERS = Enum(DriverKind, native_enum=False, length=8, values_callable=lambda kinds: [kind.value for kind in kinds])
UNWANTED: Final = text("size IS NOT NULL AND state || '' IN ('rejected', 'discarded')")
"""What is true of the episodes whose files may be to be erased: a query that says it finds them by their own index.

It does not name the state alone, so that no database takes the index of that instead.
"""
_TRUST = Enum(TrustClass, native_enum=False, length=16, values_callable=lambda classes: [one.value for one in classes])


class EpisodeRow(Base):
    """One episode at the hub. What the manifest says is filled in when the host seals; None until then."""

    __tablename__ = "episodes"
    __table_args__ = (
        Index("ix_episodes_created", "created_ms", "episode"),
        Index("ix_episodes_previous", "robot", "previous"),
        Index("ix_episodes_unwanted", "created_ms", sqlite_where=UNWANTED, postgresql_where=UNWANTED),
        Index("ix_episodes_private", "episode", sqlite_where=text("private = 1"), postgresql_where=text("private")),
    )

    episode: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[EpisodeState] = mapped_column(_STATES, index=True)
    robot: Mapped[str] = mapped_column(String(42), index=True)
    operator: Mapped[str] = mapped_column(String(42), index=True)
    task: Mapped[str] = mapped_column(String(64), index=True)
    driver_kind: Mapped[DriverKind | None] = mapped_column(_DRIVERS, index=True)
    """Who or what drove; None, as its name and its file's SHA-256, if an earlier release began it."""
    driver_name: Mapped[str | None] = mapped_column(String(NAME_MAX))
    driver_sha256: Mapped[str | None] = mapped_column(String(64))
    model: Mapped[str | None] = mapped_column(String(64))
    """The robot's, as the manifest says; None, as `duration_ms`, until that is here."""
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    """How long it took: a simulation's own time, or what passed on the host's clock."""
    steps: Mapped[int | None] = mapped_column(Integer)
    success: Mapped[bool | None] = mapped_column(Boolean)
    valid: Mapped[bool | None] = mapped_column(Boolean)
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it ended, as the manifest says; once held or rejected, the name of what kept it and a sentence."""
    digest: Mapped[str | None] = mapped_column(String(66), unique=True)
    content_root: Mapped[str | None] = mapped_column(String(66), index=True)
    verified_root: Mapped[str | None] = mapped_column(String(66), unique=True)
    """The same as `content_root` once verified: no two verified episodes share one."""
    previous: Mapped[str | None] = mapped_column(String(66))
    sha256: Mapped[str | None] = mapped_column(String(64))
    size: Mapped[int | None] = mapped_column(BigInteger)
    """None again once the files are erased."""
    manifest: Mapped[str | None] = mapped_column(Text)
    """The exact text whose bytes are signed."""
    robot_signature: Mapped[str | None] = mapped_column(String(132))
    operator_signature: Mapped[str | None] = mapped_column(String(132))
    receipt: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    log_index: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    """How often it could not be checked, since it was signed or looked at again."""
    next_try_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When it is checked again; None if it is not `held`."""
    looked_again_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When its operator asked for another look; None if that is still open."""
    sealed_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When its host sealed it; None before that, and if an earlier release took it in."""
    erased_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When its files were given up: from then on nobody looks at them, and they are erased."""
    trust: Mapped[TrustClass | None] = mapped_column(_TRUST)
    """What it rests on, once verified; None if an earlier release verified it."""
    twin: Mapped[str | None] = mapped_column(String(64))
    """The episode that it repeats, if it is rejected for that."""
    private: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """As its ticket said when it began; never changed."""


class MotionRow(Base):
    """What a verified episode's motion is known by (FORMAT.md section 6.2)."""

    __tablename__ = "motions"

    episode: Mapped[str] = mapped_column(ForeignKey("episodes.episode"), primary_key=True)
    digest: Mapped[str | None] = mapped_column(String(64), unique=True)
    """None if it leads nowhere, or if an earlier release verified it although it repeats another."""


class MotionPathRow(Base):
    """One path of a motion. Paths as near as a copy's are in the same or neighbouring cells (`motions.py`)."""

    __tablename__ = "motion_paths"
    __table_args__ = (Index("ix_motion_paths_cells", "kind", "width", "cell_0", "cell_1", "cell_2", "cell_3"),)

    episode: Mapped[str] = mapped_column(ForeignKey("motions.episode"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    width: Mapped[int] = mapped_column(Integer)
    cell_0: Mapped[int] = mapped_column(Integer)
    cell_1: Mapped[int] = mapped_column(Integer)
    cell_2: Mapped[int] = mapped_column(Integer)
    cell_3: Mapped[int] = mapped_column(Integer)
    points: Mapped[bytes] = mapped_column(LargeBinary)
    world: Mapped[bytes | None] = mapped_column(LargeBinary)
    """None if nothing has replayed the episode."""


class UploadRow(Base):
    """One upload in progress; the size of its file says how much has arrived."""

    __tablename__ = "uploads"

    upload: Mapped[str] = mapped_column(String(32), primary_key=True)
    episode: Mapped[str] = mapped_column(String(64), unique=True)
    robot: Mapped[str] = mapped_column(String(42))
    length: Mapped[int] = mapped_column(BigInteger)
    created_ms: Mapped[int] = mapped_column(BigInteger)


class ObjectState(StrEnum):
    """The state of an object in the bucket."""

    COMING = "coming"
    """It is being sent there; if that is interrupted, it is removed."""
    THERE = "there"
    LEAVING = "leaving"
    """No file has it, and none will: it is being removed."""


_OBJECT_STATES = Enum(
    ObjectState, native_enum=False, length=8, values_callable=lambda states: [state.value for state in states]
)


class ObjectRow(Base):
    """One object in the bucket, under a key that no other ever had: what removes it removes nothing else."""

    __tablename__ = "stored_objects"

    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[ObjectState] = mapped_column(_OBJECT_STATES, index=True)
    changed_ms: Mapped[int] = mapped_column(BigInteger)


class FileRow(Base):
    """One file of an episode in the bucket; several may have one object."""

    __tablename__ = "stored_files"

    episode: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(ForeignKey("stored_objects.key"), index=True)


class KeyRow(Base):
    """The key that a private episode's recording is sealed by, wrapped by a key of the hub's; and what is in it."""

    __tablename__ = "episode_keys"

    episode: Mapped[str] = mapped_column(String(64), primary_key=True)
    master: Mapped[str] = mapped_column(String(16), index=True)
    """Which of the hub's keys wraps it."""
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(String(66))
    """The manifest's, which the sealed bytes are bound to."""
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    made_ms: Mapped[int] = mapped_column(BigInteger)


class UseRow(Base):
    """Somebody was given something of a private episode: who, what, what for, and when."""

    __tablename__ = "episode_uses"
    __table_args__ = (Index("ix_episode_uses", "episode", "wallet", "what"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    episode: Mapped[str] = mapped_column(ForeignKey("episodes.episode"))
    wallet: Mapped[str] = mapped_column(String(42))
    what: Mapped[str] = mapped_column(String(16))
    purpose: Mapped[str] = mapped_column(String(200))
    """In the words of whoever asked; empty if they gave none."""
    first_ms: Mapped[int] = mapped_column(BigInteger)
    last_ms: Mapped[int] = mapped_column(BigInteger)
    times: Mapped[int] = mapped_column(Integer)
    """How often, from the first to the last: what follows within an hour is one row."""


class PieceRow(Base):
    """One piece of an upload in the bucket; they follow each other without a gap."""

    __tablename__ = "upload_pieces"

    upload: Mapped[str] = mapped_column(String(32), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    length: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[str] = mapped_column(String(128))


class LogHead(Base):
    """How many entries the log has: one row, whose update orders all appends."""

    __tablename__ = "log_head"

    log: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)


class LogEntry(Base):
    """One entry, never changed."""

    __tablename__ = "log_entries"

    index: Mapped[int] = mapped_column("log_index", BigInteger, primary_key=True, autoincrement=False)
    episode: Mapped[str] = mapped_column(String(64), unique=True)
    entry: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_ms: Mapped[int] = mapped_column(BigInteger)


class LogNode(Base):
    """The hash of one whole subtree of 2^level leaves, never changed."""

    __tablename__ = "log_nodes"

    level: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column("node_index", BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
