"""The hub's episode rows: each change to one is one transaction, and follows the legal moves only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
from eth_account.signers.local import LocalAccount
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from recorder.hub import motions
from recorder.hub.catalogue import UnknownEpisodeError
from recorder.hub.log import Log
from recorder.hub.rows import owned, require_owned
from recorder.hub.states import EpisodeState, EpisodeStateError, require_move
from recorder.hub.tables import EpisodeRow, LogEntry, MotionRow
from recorder.proof.bundle import Bundle, TrustClass
from recorder.proof.case import Books, Ticket, Trust
from recorder.proof.checks.copies import Motion, Twin
from recorder.proof.manifest import NO_PREVIOUS, Manifest, decode, duration_ms
from recorder.proof.refusals import DuplicateEpisode
from recorder.proof.seal import sign_receipt
from recorder.proof.verify import require_gates
from teleop.hub.db import Database
from teleop.identity import Domain
from teleop.wire.driver import Driver

AGAIN_FIRST_S: Final = 5.0
AGAIN_GROWS: Final = 4.0
AGAIN_MOST_S: Final = 24 * 3600.0
MODEL_MAX: Final = 64
"""Characters of a model's name, as a robot registers it."""


class NotTheOperatorError(Exception):
    """Someone other than an episode's operator tried to decide about it."""


class EpisodeErasedError(Exception):
    """The hub has no files of an episode, or not any more."""


class Records:
    """Reads episodes and moves them between states. Blocking: call it off the event loop."""

    def __init__(
        self, database: Database, log: Log, domain: Domain, key: LocalAccount, now_ms: Callable[[], int]
    ) -> None:
        """`key` is the hub's; it signs receipts."""
        self._database, self._log, self._domain, self._key, self._now_ms = database, log, domain, key, now_ms

    def find(self, episode: str) -> EpisodeRow | None:
        """Return an episode's row, or None."""
        with self._database() as db:
            return db.get(EpisodeRow, episode)

    def of_operator(self, episode: str, operator: str) -> EpisodeRow:
        """Return a row that this operator may decide about; raise UnknownEpisodeError or NotTheOperatorError."""
        row = self.find(episode)
        if row is None or row.state is EpisodeState.RECORDING:
            raise UnknownEpisodeError(f"{episode[:80]!r} has not been sealed; wait for its manifest")
        if row.operator != operator:
            raise NotTheOperatorError(f"expected {row.operator}, who drove {episode}, got {operator}")
        return row

    def expect(self, ticket: Ticket) -> None:
        """Note that an episode is on its way, so that its operator finds it even if it takes long. Idempotent."""
        with suppress(IntegrityError), self._database() as db, db.begin():  # another request has noted it meanwhile
            if db.get(EpisodeRow, ticket.episode) is None:
                self._expected(db, ticket)

    def books(self, manifest: Manifest, ticket: Ticket | None, received_ms: int | None = None) -> Books:
        """Return what only the hub knows about an episode; `received_ms`: when it was sealed."""
        with self._database() as db:
            twin = self._other(db, manifest, EpisodeRow.verified_root == manifest.content_root)
            chained = manifest.previous != NO_PREVIOUS
            rival = self._other(db, manifest, *_before(db, manifest)) if chained else None
        return Books(ticket, twin, rival, received_ms)

    def held(self, *, due: bool) -> list[str]:
        """Return the episodes that wait to be checked again, in the order in which they are due, or those due now."""
        waiting = select(EpisodeRow.episode).where(EpisodeRow.state == EpisodeState.HELD)
        if due:
            waiting = waiting.where(EpisodeRow.next_try_ms <= self._now_ms())
        with self._database() as db:
            return list(db.scalars(waiting.order_by(EpisodeRow.next_try_ms, EpisodeRow.episode)))

    def seal(
        self,
        manifest: Manifest,
        text: str,
        digest: str,
        robot_signature: str,
        driver: Driver | None,
        *,
        private: bool = False,
    ) -> EpisodeRow:
        """Fill in what the manifest says; the episode is `uploaded`, or `invalid` if its recording failed.

        `driver`: who or what drove, as its ticket says; None if that does not say. `private`: as its ticket says.
        """
        then = EpisodeState.UPLOADED if manifest.valid else EpisodeState.INVALID
        with self._database() as db, db.begin():
            row = owned(db, manifest.episode)
            if row is None:
                row = self._new(manifest.episode, manifest.robot.address, manifest.operator.address)
                db.add(row)
            row.private = row.private or private
            row.state = _along(row, EpisodeState.SEALED, then)
            row.task, row.steps, row.success = manifest.task.name, manifest.steps, manifest.success
            row.model, row.duration_ms = searchable_model(manifest), duration_ms(manifest)
            _note_driver(row, driver)
            row.valid, row.reason, row.previous = manifest.valid, manifest.reason.value, manifest.previous
            row.digest, row.content_root = digest, manifest.content_root
            row.sha256, row.size = manifest.files[0].sha256, manifest.files[0].size
            row.manifest, row.robot_signature = text, robot_signature
            row.sealed_ms = self._now_ms()
        return row

    def verified(self, episode: str, operator_signature: str, trust: TrustClass, motion: Motion) -> EpisodeRow:
        """Append to the log, write the receipt and move to `verified`, all or nothing.

        Raises EpisodeStateError, DuplicateEpisode, or CopiedMotion. Of copies that come at the same moment one stands:
        the log takes one at a time, and the next sees the motion of the one before.
        """
        try:
            with self._database() as db, db.begin():
                row = self._verified(db, episode, operator_signature, trust)
                replayed = trust is TrustClass.REPLAYED
                if replayed and not row.success:  # nobody gains by a copy that failed, and many fail alike
                    motion = dataclasses.replace(motion, digest=None)
                else:
                    self._require_own(motions.twin(db, motion, replayed=replayed))
                motions.add(db, episode, motion, replayed=replayed)
                return row
        except IntegrityError as error:
            raise DuplicateEpisode(f"{episode}: the same recording is in the log already") from error

    def without_motion(self) -> list[str]:
        """Return the verified episodes whose motion is not kept: those of earlier releases, in the log's order."""
        kept = select(MotionRow.episode).where(MotionRow.episode == LogEntry.episode).exists()
        waiting = select(LogEntry.episode).where(~kept)  # narrow rows, one for each verified episode
        with self._database() as db:
            return list(db.scalars(waiting.order_by(LogEntry.index)))

    def keep_motion(self, episode: str, motion: Motion) -> None:
        """Keep the motion of an episode that an earlier release verified, even if it is a copy: its verdict stays."""
        for kept in (motion, dataclasses.replace(motion, digest=None)):  # the digest may be an earlier one's
            with suppress(IntegrityError), self._database() as db, db.begin():
                replayed = db.get_one(EpisodeRow, episode).trust is TrustClass.REPLAYED
                motions.add(db, episode, kept, replayed=replayed)
                return

    def reject(self, episode: str, operator_signature: str, reason: str, twin: str | None = None) -> None:
        """Move to `rejected`, for a reason that the contributor can read; `twin`: the episode that it repeats."""
        with self._database() as db, db.begin():
            row = require_owned(db, episode)
            row.state = _along(row, EpisodeState.REJECTED)
            row.reason, row.operator_signature, row.next_try_ms = reason, operator_signature, None
            row.twin = twin

    def hold(self, episode: str, operator_signature: str, reason: str) -> EpisodeRow:
        """Move to `held`, for a reason that the contributor can read; it is due again after a wait that grows."""
        with self._database() as db, db.begin():
            row = require_owned(db, episode)
            row.state = _along(row, EpisodeState.HELD)
            row.reason, row.operator_signature = reason, operator_signature
            row.tries += 1
            row.next_try_ms = self._now_ms() + round(1000 * again_in_s(row.tries))
        return row

    def unsign(self, episode: str) -> None:
        """Move from `held` back to `uploaded`: its operator's signature turned out to be wrong."""
        with self._database() as db, db.begin():
            row = require_owned(db, episode)
            row.state = _along(row, EpisodeState.UPLOADED)
            row.operator_signature, row.next_try_ms = None, None
            row.reason = _ending(row)

    def look_again(self, episode: str) -> EpisodeRow:
        """Move from `rejected` to `held`, once: from here on its files are not erased.

        Raises EpisodeStateError if it is not rejected, or was moved before, and EpisodeErasedError if they are gone.
        """
        with self._database() as db, db.begin():
            row = require_owned(db, episode)
            if row.state is not EpisodeState.REJECTED:
                raise EpisodeStateError(f"{episode}: expected rejected to look at it again, but it is {row.state}")
            if row.looked_again_ms is not None:
                raise EpisodeStateError(f"{episode}: it was looked at again, and rejected again; that is final")
            require_files(row)
            row.state = _along(row, EpisodeState.HELD)
            row.looked_again_ms = row.next_try_ms = self._now_ms()
            row.tries, row.twin = 0, None
        return row

    def discard(self, ticket: Ticket) -> EpisodeRow:
        """Move to `discarded`, even before the host has sealed. Idempotent."""
        with self._database() as db, db.begin():
            row = owned(db, ticket.episode) or self._expected(db, ticket)
            if row.state is not EpisodeState.DISCARDED:
                row.state = _along(row, EpisodeState.DISCARDED)
        return row

    def refuse(self, ticket: Ticket, reason: str) -> None:
        """Move to `rejected` what was refused as it came, so that nobody waits for it. Does nothing if it is here."""
        with self._database() as db, db.begin():
            row = owned(db, ticket.episode) or self._expected(db, ticket)
            if row.state in (EpisodeState.RECORDING, EpisodeState.SEALED):
                row.state, row.reason = _along(row, EpisodeState.REJECTED), reason

    def _verified(self, db: Session, episode: str, operator_signature: str, trust: TrustClass) -> EpisodeRow:
        digest = db.scalar(select(EpisodeRow.digest).where(EpisodeRow.episode == episode))
        if digest is None:
            raise EpisodeStateError(f"{episode}: expected a sealed episode, got one without a digest")
        received_ms = self._now_ms()
        index = self._log.append(db, episode, bytes.fromhex(digest[2:]), received_ms)
        row = require_owned(db, episode)
        row.state = _along(row, EpisodeState.VERIFIED)
        row.operator_signature, row.log_index, row.trust = operator_signature, index, trust
        row.reason, row.next_try_ms = _ending(row), None
        row.verified_root, row.receipt = row.content_root, self._receipt(db, row, index, received_ms, trust)
        db.flush()
        return row

    def _require_own(self, twin: Twin | None) -> None:
        books = Books(None, None, None, copied=twin)
        require_gates(Bundle(None, None, None, None, None, None), Trust(self._domain, books=books), ("copy",))

    def _receipt(self, db: Session, row: EpisodeRow, index: int, received_ms: int, trust: TrustClass) -> dict[str, Any]:
        proof = self._log.prove(db, index)
        receipt = sign_receipt(
            self._key,
            self._domain,
            episode=row.episode,
            digest=row.digest or "",
            received_ms=received_ms,
            log_origin=self._log.origin,
            log_index=index,
            checkpoint=proof.checkpoint,
            inclusion=["0x" + one.hex() for one in proof.hashes],
            trust=trust,
        )
        plain: dict[str, Any] = msgspec.to_builtins(receipt)
        return plain

    def _new(self, episode: str, robot: str, operator: str) -> EpisodeRow:
        state, created_ms = EpisodeState.RECORDING, self._now_ms()
        return EpisodeRow(episode=episode, state=state, robot=robot, operator=operator, task="", created_ms=created_ms)

    def _expected(self, db: Session, ticket: Ticket) -> EpisodeRow:
        row = self._new(ticket.episode, ticket.robot, ticket.operator)
        row.task, row.private = ticket.task, ticket.private
        _note_driver(row, None if ticket.asked is None else ticket.asked.driver)
        db.add(row)
        return row

    @staticmethod
    def _other(db: Session, manifest: Manifest, *conditions: Any) -> str | None:
        query = select(EpisodeRow.episode).where(EpisodeRow.episode != manifest.episode, *conditions)
        return db.scalar(query.limit(1))


def _note_driver(row: EpisodeRow, driver: Driver | None) -> None:
    if driver is not None:
        row.driver_kind, row.driver_name, row.driver_sha256 = driver.kind, driver.name, driver.sha256


def searchable_model(manifest: Manifest) -> str | None:
    """Return the model of the robot; None if that is no name that a search could have."""
    model = manifest.robot.model
    return model if 0 < len(model) <= MODEL_MAX and model.isprintable() else None


def require_files(row: EpisodeRow) -> None:
    """Raise EpisodeErasedError if a rejected episode's files are gone, or are just being erased."""
    if row.state is EpisodeState.REJECTED and (row.size is None or row.erased_ms is not None):
        raise EpisodeErasedError(_without_files(row))


def _without_files(row: EpisodeRow) -> str:
    if row.manifest is None:
        return f"{row.episode} was refused as it came, so the hub has no files of it"
    return f"{row.episode} was refused, and the time for which its files are kept is over"


def again_in_s(tries: int) -> float:
    """Return how long an episode that could not be checked so many times waits for the next."""
    return min(AGAIN_MOST_S, AGAIN_FIRST_S * AGAIN_GROWS ** min(tries - 1, 30))


def _before(db: Session, manifest: Manifest) -> list[ColumnElement[bool]]:
    """Return what is true of an episode that continues the same `previous` and was sealed before this one.

    Of two that were sealed in the same millisecond, or before the hub noted when, it is the lower id.
    """
    same = [EpisodeRow.robot == manifest.robot.address, EpisodeRow.previous == manifest.previous]
    row = db.get(EpisodeRow, manifest.episode)
    if row is None or row.manifest is None:
        return same  # it is about to be sealed
    when, own = func.coalesce(EpisodeRow.sealed_ms, EpisodeRow.created_ms), row.sealed_ms or row.created_ms
    return [*same, or_(when < own, and_(when == own, EpisodeRow.episode < row.episode))]


def _ending(row: EpisodeRow) -> str:
    """Return why a sealed episode ended, as its manifest says."""
    return decode((row.manifest or "").encode()).reason.value


def _along(row: EpisodeRow, *states: EpisodeState) -> EpisodeState:
    """Return the last of `states`, each a legal move from the one before."""
    now = row.state
    for then in states:
        now = require_move(row.episode, now, then)
    return now
