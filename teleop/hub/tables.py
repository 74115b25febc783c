"""teleop's tables: who signs in, which robots there are, who may drive, and which episodes were asked for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from teleop.hub.db import Base, Wei

_OPEN = text("ended_ms IS NULL")


class Account(Base):
    """A wallet that has signed in."""

    __tablename__ = "accounts"

    address: Mapped[str] = mapped_column(String(42), primary_key=True)
    created_ms: Mapped[int] = mapped_column(BigInteger)


class SignIn(Base):
    """An EIP-4361 message that awaits its signature; used once."""

    __tablename__ = "sign_ins"

    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    address: Mapped[str] = mapped_column(String(42))
    message: Mapped[str] = mapped_column(String(2048))
    expires_ms: Mapped[int] = mapped_column(BigInteger)


class Token(Base):
    """A signed-in wallet's bearer token, kept as its SHA-256."""

    __tablename__ = "tokens"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    address: Mapped[str] = mapped_column(ForeignKey("accounts.address"), index=True)
    expires_ms: Mapped[int] = mapped_column(BigInteger)


class RobotChallenge(Base):
    """A nonce that one registration of this robot may use, once."""

    __tablename__ = "robot_challenges"

    nonce: Mapped[str] = mapped_column(String(66), primary_key=True)
    robot: Mapped[str] = mapped_column(String(42))
    expires_ms: Mapped[int] = mapped_column(BigInteger)


class RobotRow(Base):
    """A robot that its owner has registered. `epoch` counts its leases and never falls."""

    __tablename__ = "robots"

    address: Mapped[str] = mapped_column(String(42), primary_key=True)
    owner: Mapped[str] = mapped_column(String(42), index=True)
    name: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(64))
    simulated: Mapped[bool] = mapped_column(Boolean)
    signature: Mapped[str] = mapped_column(String(132))
    """The owner's, over the `RobotRegistration`."""
    robot_signature: Mapped[str | None] = mapped_column(String(132))
    """The robot's own; this, `nonce` and `issued_ms` are None if an earlier release registered it."""
    nonce: Mapped[str | None] = mapped_column(String(66))
    issued_ms: Mapped[int | None] = mapped_column(BigInteger)
    descriptor: Mapped[dict[str, Any] | None] = mapped_column(JSON, deferred=True)
    """Read only by `Registry`, which checks it: it comes from a stranger."""
    epoch: Mapped[int] = mapped_column(Integer, default=0)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    removed_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When its owner took it off the list; registering it again brings it back."""
    hub: Mapped[str | None] = mapped_column(String(32))
    """Its home: the hub of several that its host is connected to; None if there is one hub only, or it is away."""
    docked: Mapped[int] = mapped_column(BigInteger, default=0)
    """How often its host has connected: of two hubs that have the robot, the one with the higher number does."""
    upload_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    """Of the upload token that its home gave, so that other hubs honour it."""
    private: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """Whether what is driven from now on is private: a ticket fixes it for its episode."""


class RobotReaderRow(Base):
    """A wallet that a robot's owner lets read the robot's private episodes, for as long as the row is here."""

    __tablename__ = "robot_readers"

    robot: Mapped[str] = mapped_column(ForeignKey("robots.address"), primary_key=True)
    wallet: Mapped[str] = mapped_column(String(42), primary_key=True)
    added_ms: Mapped[int] = mapped_column(BigInteger)


_OPEN = text("ended_ms IS NULL")


class LeaseRow(Base):
    """One operator's hold on one robot."""

    __tablename__ = "leases"
    __table_args__ = (
        Index("ix_leases_open", "lease", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_leases_open_hub", "hub", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    lease: Mapped[str] = mapped_column(String(32), primary_key=True)
    robot: Mapped[str] = mapped_column(ForeignKey("robots.address"), index=True)
    operator: Mapped[str] = mapped_column(String(42), index=True)
    epoch: Mapped[int] = mapped_column(Integer)
    grant: Mapped[dict[str, Any]] = mapped_column(JSON)
    signature: Mapped[str] = mapped_column(String(132))
    started_ms: Mapped[int] = mapped_column(BigInteger)
    ended_ms: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(String(32))
    hub: Mapped[str | None] = mapped_column(String(32))
    """Which of several hubs granted it; None if it was the only one."""


class HubRow(Base):
    """One of several hubs that share this database, by its name. It stays once its hub has ended."""

    __tablename__ = "hubs"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    run: Mapped[str] = mapped_column(String(32))
    """Another one each time that it starts."""
    address: Mapped[str] = mapped_column(String(42))
    """That of its key, which signs receipts and roots: the same for all of them, as is `log`."""
    log: Mapped[str] = mapped_column(String(200))
    url: Mapped[str] = mapped_column(String(300))
    """Where the other hubs reach it."""
    beat: Mapped[int] = mapped_column(BigInteger)
    """It counts while the hub lives."""
    started_ms: Mapped[int] = mapped_column(BigInteger)
    ended_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When it ended, or was found to have."""


class DescriptionRow(Base):
    """A robot at a task, as its host described it before an episode began; never changed."""

    __tablename__ = "descriptions"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    described: Mapped[dict[str, Any]] = mapped_column(JSON)


class TicketRow(Base):
    """An episode that the hub asked a robot for, with what it knew then: all of which its manifest must say, too."""

    __tablename__ = "tickets"

    episode: Mapped[str] = mapped_column(String(32), primary_key=True)
    lease: Mapped[str] = mapped_column(ForeignKey("leases.lease"), index=True)
    robot: Mapped[str] = mapped_column(String(42))
    operator: Mapped[str] = mapped_column(String(42))
    task: Mapped[str] = mapped_column(String(64))
    seed: Mapped[int] = mapped_column(BigInteger)
    nonce: Mapped[str] = mapped_column(String(66))
    issued_ms: Mapped[int] = mapped_column(BigInteger)
    model: Mapped[str | None] = mapped_column(String(64))
    """This, `simulated` and `description` are None for a ticket of an earlier release."""
    simulated: Mapped[bool | None] = mapped_column(Boolean)
    description: Mapped[str | None] = mapped_column(ForeignKey("descriptions.sha256"))
    protocol: Mapped[int | None] = mapped_column(Integer)
    """What its host spoke; None, as all below, for a ticket of an earlier release."""
    price_wei: Mapped[int | None] = mapped_column(Wei)
    """What a score of 1 pays, fixed when it began."""
    shares: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True))
    """What is paid beside that, as published when it began: names -> parts per million."""
    driver: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Who or what drives, as its operator said when it began: `kind`, `name`, `sha256`."""
    rules: Mapped[str | None] = mapped_column(String(16))
    """The version of the scoring rules in force when it began, which its file must name; None: it must name none."""
    ready_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When the hub heard that the robot was ready; None, as what follows, if it did not hear it."""
    finish_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When it passed on that the operator finished it."""
    said: Mapped[bool | None] = mapped_column(Boolean)
    """Whether the task was done, in the operator's word at `finish`; None if they said nothing."""
    ended_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When it heard of its end: `ready_ms`, and what the monotonic clock measured since."""
    ended: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What the host said of its end: `kept`, `steps`, `success`, `valid`, `reason`."""
    private: Mapped[bool | None] = mapped_column(Boolean)
    """Whether the episode is private, fixed when it began; None, which is no, for a ticket of an earlier release."""
