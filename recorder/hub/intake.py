"""The hub's intake: a host seals, the operator signs, the gates check, the log grows, and a receipt is given.

An episode that cannot be checked here and now is held, and checked again later; only a refusal rejects it.

Every request may be repeated: the second one changes nothing and gets the same answer. CPU-heavy work runs in the
executor that is passed in, so that the hub's event loop only waits.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import BrokenExecutor, Executor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol
from weakref import WeakValueDictionary

import msgspec
import structlog

from recorder.file.apart import ReaderLostError, reader
from recorder.file.episode import EpisodeError
from recorder.hub.arrivals import Arrivals
from recorder.hub.catalogue import EpisodeView, view
from recorder.hub.records import Records, require_files
from recorder.hub.states import EpisodeState, EpisodeStateError, require_move
from recorder.hub.store import Store, StoredFile, StoreLostError, UnknownFileError
from recorder.hub.store.folder import known
from recorder.hub.tables import EpisodeRow
from recorder.hub.uploads import Uploads
from recorder.proof import manifest as manifests
from recorder.proof.bundle import (
    MANIFEST_FILE,
    RECEIPT_FILE,
    RECEIPT_JSON,
    SIGNATURES_FILE,
    Bundle,
    Signatures,
    TrustClass,
    domain_meta,
    hashed,
)
from recorder.proof.case import Replayer, Ticket, Trust
from recorder.proof.checks.copies import Motion, motion_of
from recorder.proof.gates import SEAL_GATES
from recorder.proof.manifest import EPISODE_FILE, Manifest
from recorder.proof.refusals import GateError, OperatorSignatureInvalid
from recorder.proof.unable import WORDS, UnableError, unable
from recorder.proof.verify import Report, require_gates, verify
from teleop.identity import Domain

_log = structlog.get_logger()
_OVER: Final = (EpisodeState.REJECTED, EpisodeState.DISCARDED)
_SIGNATURE: Final = re.compile("0x[0-9a-f]{128}1[bc]")


class EpisodePrivateError(Exception):
    """A stranger asked for the files of an episode that is not verified."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """What a host posts: the manifest's exact text, its own signature, and the upload that holds the file."""

    manifest: str
    robot_signature: str
    upload: str


class Sealer(Protocol):
    """Keeps what is private sealed; `recorder.hub.store.sealing.SealingStore` is one."""

    def adopt_private(self, episode: str, digest: str, source: Path) -> None:
        """Move in a recording, sealed and bound to its manifest's digest. Idempotent, even without the source."""


class Intake:
    """One hub's intake. For one event loop."""

    def __init__(
        self,
        *,
        records: Records,
        store: Store,
        uploads: Uploads,
        domain: Domain,
        executor: Executor,
        replay: Replayer | None = None,
        hand_on: Callable[[str], None] | None = None,
        at_once: int = 1,
        turn: Callable[[str], AbstractAsyncContextManager[None]] | None = None,
        private: Sealer | None = None,
    ) -> None:
        """`replay` re-simulates simulated episodes; it and `executor` must agree on what can be pickled.

        `hand_on` is called with each verified episode's id, once it is on disk; it must not block. So many of the held
        ones are checked `at_once`. `turn` keeps other hubs out of an episode. `private` takes in what is private;
        without it, that is refused.
        """
        self._records, self._store, self._uploads = records, store, uploads
        self._domain, self._executor, self._replay = domain, executor, replay
        self._hand_on, self._at_once, self._turn, self._private = hand_on, at_once, turn, private
        self.told: Callable[[str], None] = lambda _episode: None
        """Called with each episode that was sealed, or will not be: people may wait for it at another hub."""
        self._sealed = Arrivals()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def seal(self, episode: str, robot: str, ticket: Ticket | None, sealing: Sealing) -> EpisodeView:
        """Take in a host's sealed episode; raise a GateError, UploadError or EpisodeStateError."""
        async with self._lock(episode):
            try:
                row = await asyncio.to_thread(self._seal, episode, robot, ticket, sealing)
            except GateError as error:
                if ticket is not None and ticket.robot == robot:
                    await self.refuse(ticket, error)
                    await asyncio.to_thread(self._uploads.forget, sealing.upload, robot)
                raise
        self._arrived(episode)
        return view(row)

    async def refuse(self, ticket: Ticket, error: Exception) -> None:
        """Note that an episode was refused for good before it was here: its host gives up, and so may its operator."""
        reason = f"{type(error).__name__.removesuffix('Error')}: {error}"
        await asyncio.to_thread(self._records.refuse, ticket, reason)
        self._arrived(ticket.episode)
        _log.warning("episode refused as it came", episode=ticket.episode, robot=ticket.robot, reason=reason)

    def expect(self, ticket: Ticket) -> None:
        """Note that a host has begun to send an episode. Blocking."""
        self._records.expect(ticket)

    async def manifest(self, episode: str, wait_s: float = 0.0) -> bytes | None:
        """Return the manifest's bytes once the host has sealed; None after `wait_s`, or if none will come."""
        found = await self._sealed.wait(episode, lambda: asyncio.to_thread(self._manifest, episode), wait_s)
        return found or None

    async def sign(self, episode: str, operator: str, ticket: Ticket | None, signature: str) -> EpisodeView:
        """Verify the episode with the operator's signature, log it, and return it with its receipt.

        It is returned `held`, without a receipt, if it cannot be checked now. Raises a GateError (the episode is then
        rejected, except for a wrong signature, which may be sent again), UnknownEpisodeError, NotTheOperatorError or
        EpisodeStateError.
        """
        async with self._lock(episode):
            row = await asyncio.to_thread(self._records.of_operator, episode, operator)
            same = row.operator_signature == signature
            if row.state is EpisodeState.HELD or (row.state is EpisodeState.VERIFIED and same):
                return view(row)  # a held one has its time: asking for it must keep no worker busy
            if row.state is EpisodeState.REJECTED:
                raise EpisodeStateError(f"{episode} was rejected ({row.reason}); ask for another look instead")
            require_move(episode, row.state, EpisodeState.VERIFIED)
            return view(await self._decide(row, ticket, signature))

    async def look_again(self, episode: str, operator: str, ticket: Ticket | None, signature: str) -> EpisodeView:
        """Verify a rejected episode once more, as its operator may ask for once; as `sign` otherwise.

        `signature` may be empty, unless an earlier release rejected it, which did not keep the one that came.
        """
        async with self._lock(episode):
            row = await asyncio.to_thread(self._records.of_operator, episode, operator)
            require_files(row)
            signed = row.operator_signature or signature
            if row.state is EpisodeState.REJECTED and not signed:
                raise OperatorSignatureInvalid(f"expected the operator's signature of {episode}, which was not kept")
            row = await asyncio.to_thread(self._records.look_again, episode)
            _log.info("episode looked at again", episode=episode, rejected_for=row.reason)
            return view(await self._decide(row, ticket, signed))

    async def check_held(self, ticket_of: Callable[[str], Ticket | None], *, due: bool = True) -> None:
        """Check again the episodes that could not be checked before, a few at once: those due, or all."""
        held = iter(await asyncio.to_thread(partial(self._records.held, due=due)))

        async def check() -> None:
            for episode in held:
                await self._check(episode, ticket_of)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(check())

    async def _check(self, episode: str, ticket_of: Callable[[str], Ticket | None]) -> None:
        async with self._lock(episode):
            row = await asyncio.to_thread(self._records.find, episode)
            if row is None or row.state is not EpisodeState.HELD:
                return
            ticket = await asyncio.to_thread(ticket_of, episode)
            try:
                await self._decide(row, ticket, row.operator_signature or "")
            except OperatorSignatureInvalid as error:
                await asyncio.to_thread(self._records.unsign, episode)
                _log.warning("episode is not signed after all", episode=episode, reason=str(error))
            except GateError:
                return  # it is rejected now, and the log says so

    async def keep_motions(self) -> None:
        """Keep the motions of the episodes that an earlier release verified, so that their copies are found too."""
        for episode in await asyncio.to_thread(self._records.without_motion):
            loop = asyncio.get_running_loop()
            try:
                file = await asyncio.to_thread(self._store.file, episode, EPISODE_FILE)
                motion = await loop.run_in_executor(self._executor, motion_in, file)
            except (
                EpisodeError,
                UnknownFileError,
                StoreLostError,
                ReaderLostError,
                BrokenExecutor,
                MemoryError,
            ) as error:
                _log.warning(
                    "a motion was not read; that is tried again at the next start", episode=episode, error=error
                )
                continue
            await asyncio.to_thread(self._records.keep_motion, episode, motion)

    async def discard(self, episode: str, operator: str, ticket: Ticket | None) -> EpisodeView:
        """Discard an episode for good, even before it has been uploaded."""
        async with self._lock(episode):
            return view(await asyncio.to_thread(self._discard, episode, operator, ticket))

    def file(self, episode: str, name: str, concerned: Callable[[EpisodeRow], bool]) -> StoredFile:
        """Return a bundle's file; raise UnknownFileError, EpisodeIdError, EpisodeErasedError, EpisodePrivateError or
        StoreLostError. Blocking.

        Until an episode is verified, only those whom it concerns get its files: anybody else could hand them in first.
        """
        row = self._records.find(episode)
        if row is not None and row.state is EpisodeState.DISCARDED:
            raise EpisodeStateError(f"{episode} was discarded by its operator; its files are not given out")
        if row is not None:
            require_files(row)
        if row is not None and row.state is EpisodeState.VERIFIED:
            self._heal(row)
        elif row is not None and not concerned(row):
            raise EpisodePrivateError(f"only its operator and its robot's owner get {episode} before it is verified")
        file = self._store.file(episode, name)
        if row is not None and row.state is EpisodeState.VERIFIED and name == EPISODE_FILE:
            return known(file, row.sha256)
        return file

    def look(self, episode: str) -> None:
        """Let whoever waits for an episode's manifest look for it; call it in the event loop."""
        self._sealed.arrived(episode)

    def _arrived(self, episode: str) -> None:
        self.look(episode)
        self.told(episode)

    @asynccontextmanager
    async def _lock(self, episode: str) -> AsyncIterator[None]:
        """Have an episode for oneself."""
        async with self._locks.setdefault(episode, asyncio.Lock()), AsyncExitStack() as stack:
            if self._turn is not None:
                await stack.enter_async_context(self._turn(episode))
            yield

    def _manifest(self, episode: str) -> bytes | None:
        """Return the manifest; None if it may still come, and nothing if it will not."""
        row = self._records.find(episode)
        if row is None or (row.manifest is None and row.state not in _OVER):
            return None
        return (row.manifest or "").encode()

    def _seal(self, episode: str, robot: str, ticket: Ticket | None, sealing: Sealing) -> EpisodeRow:
        row = self._records.find(episode)
        if row is not None and (row.manifest == sealing.manifest or row.state is EpisodeState.DISCARDED):
            self._uploads.forget(sealing.upload, robot)
            return row
        if row is not None and row.manifest is not None:
            raise EpisodeStateError(f"{episode} was sealed before with another manifest; it cannot be replaced")
        manifest, signatures = self._require_sealable(episode, robot, ticket, sealing)
        if row is not None and row.state is EpisodeState.REJECTED:
            raise EpisodeStateError(f"{episode} was refused when it came first ({row.reason}); that is final")
        with self._uploads.finished(sealing.upload, robot, episode) as file:
            self._store.write(episode, MANIFEST_FILE, sealing.manifest.encode())
            self._store.write(episode, SIGNATURES_FILE, signatures.encode())
            self._adopt(episode, signatures.digest, file, private=ticket is not None and ticket.private)
        driver = None if ticket is None or ticket.asked is None else ticket.asked.driver
        said = sealing.manifest, signatures.digest, sealing.robot_signature
        row = self._records.seal(manifest, *said, driver, private=ticket is not None and ticket.private)
        self._uploads.forget(sealing.upload, robot)
        _log.info("episode sealed", episode=episode, robot=robot, state=row.state.value, steps=row.steps)
        return row

    def _adopt(self, episode: str, digest: str, file: Path, *, private: bool) -> None:
        if not private:
            self._store.adopt(episode, EPISODE_FILE, file)
            return
        if self._private is None:
            raise StoreLostError(f"{episode} is private, and this hub has no store that seals")
        self._private.adopt_private(episode, digest, file)

    def _require_sealable(
        self, episode: str, robot: str, ticket: Ticket | None, sealing: Sealing
    ) -> tuple[Manifest, Signatures]:
        data = sealing.manifest.encode()
        bundle = Bundle(data, None, None, None, None, None)
        require_gates(bundle, Trust(self._domain), ("canonical", "schema"))
        manifest = manifests.decode(data)
        if ticket is not None and ticket.robot != robot:
            raise EpisodeStateError(f"expected the manifest of {episode} by {ticket.robot}, got one by {robot}")
        digest = manifests.digest(manifest, data, self._domain)
        signatures = Signatures(digest, domain_meta(self._domain), None, sealing.robot_signature)
        trust = Trust(self._domain, books=self._records.books(manifest, ticket))
        require_gates(dataclasses.replace(bundle, signatures=signatures.encode()), trust, SEAL_GATES)
        return manifest, signatures

    def _signatures(self, row: EpisodeRow, signature: str) -> bytes:
        robot = row.robot_signature or ""
        return Signatures(row.digest or "", domain_meta(self._domain), signature, robot).encode()

    async def _verify_and_keep(self, row: EpisodeRow, ticket: Ticket | None, signature: str) -> EpisodeRow:
        if not _SIGNATURE.fullmatch(signature):
            raise OperatorSignatureInvalid(f"expected 65 bytes as 0x-hex, v 27 or 28, got {signature[:140]!r}")
        signatures = self._signatures(row, signature)
        manifest = manifests.decode((row.manifest or "").encode())
        books = await asyncio.to_thread(self._records.books, manifest, ticket, row.sealed_ms)
        trust = Trust(self._domain, books=books, replay=self._replay, plain=True)
        report = await self._verify(row, signatures, trust)
        rests_on = TrustClass.REPLAYED if "replay" in report.passed else TrustClass.WITNESSED
        motion = report.motion
        if motion is None:
            raise TypeError("expected the motion, which is compared because there are books")
        return await asyncio.to_thread(self._keep, row.episode, signature, signatures, rests_on, motion)

    async def _verify(self, row: EpisodeRow, signatures: bytes, trust: Trust) -> Report:
        """Verify in a worker; raise a GateError or UnableError."""
        episode, loop = row.episode, asyncio.get_running_loop()
        documents = Bundle((row.manifest or "").encode(), signatures, None, None, None, None)
        try:
            file = await asyncio.to_thread(self._store.file, episode, EPISODE_FILE)
            return await loop.run_in_executor(self._executor, verify_signed, documents, file, trust)
        except (GateError, UnableError):
            raise
        except (StoreLostError, UnknownFileError) as error:  # it was taken in, so it must be there
            raise UnableError("StoreLost", str(error)) from error
        except BrokenExecutor as error:
            raise UnableError("WorkerLost", str(error)) from error
        except Exception as error:
            _log.exception("a verification broke", episode=episode)
            raise unable(error) from error

    async def _decide(self, row: EpisodeRow, ticket: Ticket | None, signature: str) -> EpisodeRow:
        """Verify an episode, and keep, hold or reject it; raise the GateError of a refusal."""
        try:
            kept = await self._verify_and_keep(row, ticket, signature)
        except UnableError as error:
            _log.warning("episode held", episode=row.episode, reason=str(error), tries=row.tries + 1)
            return await asyncio.to_thread(self._records.hold, row.episode, signature, _plain(error))
        except OperatorSignatureInvalid:
            raise
        except GateError as error:
            await self._reject(row.episode, signature, error)
            raise
        if self._hand_on is not None:
            self._hand_on(row.episode)
        return kept

    async def _reject(self, episode: str, signature: str, error: GateError) -> None:
        reason = f"{type(error).__name__}: {error}"
        await asyncio.to_thread(self._records.reject, episode, signature, reason, error.twin)
        _log.warning("episode rejected", episode=episode, reason=reason)

    def _keep(self, episode: str, signature: str, signatures: bytes, trust: TrustClass, motion: Motion) -> EpisodeRow:
        row = self._records.verified(episode, signature, trust, motion)
        try:
            self._store.write(episode, SIGNATURES_FILE, signatures)
            self._store.write(episode, RECEIPT_FILE, _receipt(row))
        except StoreLostError as error:  # it is in the log, and `_heal` writes what is missing
            _log.warning("receipt not stored yet", episode=episode, reason=str(error))
        _log.info("episode verified", episode=episode, log_index=row.log_index, digest=row.digest)
        return row

    def _heal(self, row: EpisodeRow) -> None:
        """Write the files that a crash after the log entry left unwritten; the receipt is written last."""
        if self._store.has(row.episode, RECEIPT_FILE):
            return
        signatures = self._signatures(row, row.operator_signature or "")
        self._store.write(row.episode, SIGNATURES_FILE, signatures)
        self._store.write(row.episode, RECEIPT_FILE, _receipt(row))

    def _discard(self, episode: str, operator: str, ticket: Ticket | None) -> EpisodeRow:
        if ticket is None or ticket.operator != operator:
            row = self._records.of_operator(episode, operator)
            ticket = Ticket(episode, row.robot, row.operator, row.task, 0, "")
        return self._records.discard(ticket)


def _receipt(row: EpisodeRow) -> bytes:
    return RECEIPT_JSON.decode(msgspec.json.encode(row.receipt)).encode()


def _plain(error: UnableError) -> str:
    """Return what a contributor reads; the log has the rest."""
    return f"{error.reason}: {WORDS[error.reason]}"


def verify_signed(documents: Bundle, file: StoredFile, trust: Trust) -> Report:
    """Run in a worker: verify a stored recording together with documents, of which some are not stored yet.

    What differs from what was taken in is the store's doing: that raises StoreLostError, and no gate.
    """
    with file.local() as path:
        size, sha256 = hashed(path)
        if size is None or file.sha256 not in (None, sha256):
            raise StoreLostError(f"{path} was {file.sha256} when it was taken in, and is now {sha256 or 'gone'}")
        return verify(dataclasses.replace(documents, size=size, sha256=sha256, file=path), trust)


def motion_in(file: StoredFile) -> Motion:
    """Run in a worker: return a stored recording's motion; raise an EpisodeError, ReaderLostError or StoreLostError."""
    with file.local() as path:
        return motion_of(reader().read(path))
