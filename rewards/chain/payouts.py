"""From the ledger to the chain: payout roots and claims.

Each step is recorded before the next one, and repeating a step changes nothing, so after any crash it is enough to
call `settle` again: the JSON is on disk before the root is in the table, the root is in the table before it is sent to
the chain, and it is marked final only after the chain says so. All calls block; run them off the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from recorder.hub.log import Log
from recorder.proof.log.checkpoint import open_checkpoint
from rewards.chain.vault import Claim, RootRecord, Settlement, VaultRefusedError
from rewards.ledger import ledger
from rewards.ledger.settle import PayoutTree, RootState, build_tree, publish, require_growth
from rewards.tables import PREPARED, LeafRow, RootRow
from teleop.files import write_atomic
from teleop.hub.db import Database
from teleop.identity import Domain


class PayoutsError(Exception):
    """A payout cannot be made; subclasses say why."""


class UnknownRootError(PayoutsError):
    """No payout has this root."""


class NothingSettledError(PayoutsError):
    """No final root holds anything for an address."""


class RootVoidError(PayoutsError):
    """The ledger still leads to a root that a dispute has voided."""


class WrongVaultError(PayoutsError):
    """The vault does not hold the roots that the database says it holds."""


class Vault(Protocol):
    """What payouts need from the chain; `rewards.chain.chain.Chain` provides it."""

    def propose_and_finalize(self, tree: PayoutTree, log_size: int = 0, log_hash: bytes = ...) -> Settlement:
        """Publish a payout; repeating it continues where it stopped."""

    def finalize_due(self) -> RootRecord | None:
        """Make the pending root final if its delay has passed; return the newest root."""

    def root_at(self, index: int) -> RootRecord:
        """Read one root."""

    def claim(self, account: str, cumulative: int, proof: Sequence[bytes], root_index: int) -> Claim:
        """Pay an account what a root owes it."""

    def claimed(self, account: str) -> int:
        """Wei claimed since the beginning."""

    def balance_of(self, account: str) -> int:
        """Wei of the token in a wallet."""


@dataclass(frozen=True, slots=True)
class Root:
    """One payout root, as the API shows it."""

    position: int
    root: str
    index: int | None
    """Its place in the vault; None until the chain has it."""
    total_wei: int
    payees: int
    state: str
    transaction: str | None
    created_ms: int


@dataclass(frozen=True, slots=True)
class Paid:
    """A claim that was paid."""

    transaction: str
    amount_wei: int
    claimed_wei: int
    wallet_wei: int


class Payouts:
    """The payout roots of one vault. Thread-safe: one settlement at a time."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        domain: Domain,
        folder: Path,
        log_head: Callable[[], tuple[int, bytes]],
        now_ms: Callable[[], int],
        alone: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Publish into `folder`; `log_head` gives the episode log's size and tree hash, to be anchored.

        `alone` keeps out other processes that settle the same ledger.
        """
        self._database, self._vault, self._domain, self._folder = database, vault, domain, folder
        self._log_head, self._now_ms, self._alone = log_head, now_ms, alone
        self._settling = threading.Lock()
        self._tree: tuple[int, PayoutTree] | None = None

    def settle(self) -> Root | None:
        """Put all that was earned under a final root; return the newest root, None if nobody has earned yet.

        If nothing changed, there is no new root, and none while an older one waits for its delay or for a dispute.
        Raises ChainError if the chain fails; the next call continues what was begun.
        """
        with self._settling, self._alone("settling"):
            newest = self._newest()
            if newest is not None and newest.state not in (RootState.FINAL, RootState.VOID):
                newest = self._advance(newest)
                if newest.state not in (RootState.FINAL, RootState.VOID):
                    return self._told(newest)
            prepared = self._prepare()
            if prepared is not None:
                newest = self._advance(prepared)
            return None if newest is None else self._told(newest)

    def reconcile(self) -> None:
        """Check the database against the chain at a start; raise WrongVaultError if they do not belong together."""
        newest = self._newest()
        if newest is None or newest.chain_index is None:
            return
        try:
            found = "0x" + self._vault.root_at(newest.chain_index).root.hex()
        except VaultRefusedError as error:
            found = str(error)
        if found != newest.root:
            raise WrongVaultError(
                f"expected root {newest.root} at {newest.chain_index} of the vault {self._domain.vault}, got {found}: "
                "the chain dropped the block that this payout was in, or this database belongs to another vault or "
                "chain. Nothing is paid meanwhile, and nothing that was earned is lost: start the hub again once the "
                "chain has that block, or with the database and the chain of one time (docs/operating.md)"
            )

    def claim(self, address: str) -> Paid:
        """Pay `address` all that the newest final root holds for it and that it has not claimed yet.

        Raises NothingSettledError, NothingToClaimError (of `rewards.chain.vault`) or another ChainError.
        """
        with self._database() as db:
            final = db.scalar(
                select(RootRow).where(RootRow.state == RootState.FINAL).order_by(RootRow.position.desc()).limit(1)
            )
            owed = {} if final is None else _cumulative(db, final.position)
        if final is None or final.chain_index is None or address not in owed:
            raise NothingSettledError(f"no final payout holds anything for {address} yet: wait for the next root")
        proof = self._tree_at(final.position, owed).proof(address)
        paid = self._vault.claim(address, owed[address], proof, final.chain_index)
        return Paid(paid.transaction, paid.amount, self._vault.claimed(address), self._vault.balance_of(address))

    def chain_balances(self, address: str) -> tuple[int, int]:
        """Return (claimed, wallet) in wei, read from the chain."""
        return self._vault.claimed(address), self._vault.balance_of(address)

    def settled(self, address: str) -> int:
        """Return the wei that final roots hold for `address`, claimed or not."""
        with self._database() as db:
            return _cumulative(db, _last_final(db), of=address).get(address, 0)

    def roots(self) -> list[Root]:
        """Return every root, newest first."""
        with self._database() as db:
            rows = db.scalars(select(RootRow).order_by(RootRow.position.desc())).all()
        return [self._told(row) for row in rows]

    def document(self, root: str) -> bytes:
        """Return the published JSON that rebuilds `root`; raise UnknownRootError."""
        with self._database() as db:
            known = db.scalar(select(RootRow.root).where(RootRow.root == root))
        if known is None:
            raise UnknownRootError(f"expected one of the roots of /api/roots, got {root[:80]!r}")
        return self._file(known).read_bytes()

    def _prepare(self) -> RootRow | None:
        """Publish what the ledger says and record it as a root; None if nothing changed."""
        with self._database() as db:
            prefix = ledger.OPERATOR
            earned = {name.removeprefix(prefix): wei for name, wei in ledger.balances(db, prefix).items() if wei}
            before = self._before(db)
            position = (db.scalar(select(func.max(RootRow.position))) or 0) + 1
        if earned == before:
            return None
        require_growth(before, earned)
        tree = build_tree(self._domain.chain_id, self._domain.vault, earned)
        root = "0x" + tree.root.hex()
        self._require_new(root)
        log_size, log_hash = self._log_head()
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._file(root), publish(tree))
        row = RootRow(
            position=position,
            root=root,
            total_wei=tree.total,
            payees=len(earned),
            log_size=log_size,
            log_hash="0x" + log_hash.hex(),
            state=PREPARED,
            created_ms=self._now_ms(),
        )
        raised = {address: wei for address, wei in earned.items() if before.get(address) != wei}
        with self._database() as db, db.begin():
            db.add(row)
            db.flush()
            db.add_all(LeafRow(address=who, position=position, cumulative_wei=wei) for who, wei in raised.items())
        self._tree = (position, tree)
        return row

    def _before(self, db: Session) -> Mapping[str, int]:
        """Return what everybody has earned under the newest final root: as it was built, if that was here."""
        last = _last_final(db)
        kept = self._tree
        return kept[1].cumulative if kept is not None and kept[0] == last else _cumulative(db, last)

    def _require_new(self, root: str) -> None:
        with self._database() as db:
            if db.scalar(select(RootRow.state).where(RootRow.root == root)) is not None:
                raise RootVoidError(f"a dispute voided {root}, and the ledger still gives it: correct the ledger first")

    def _advance(self, row: RootRow) -> RootRow:
        """Move a root as far as the chain allows, and record its state."""
        if row.state == PREPARED:
            with self._database() as db:
                tree = self._tree_at(row.position, _cumulative(db, row.position, include=row.position))
            told = self._vault.propose_and_finalize(tree, row.log_size, bytes.fromhex(row.log_hash[2:]))
            return self._mark(row, told.state, told.index, told.transaction)
        self._vault.finalize_due()
        if row.chain_index is None:
            raise WrongVaultError(f"root {row.root} is {row.state} without a place in the vault")
        return self._mark(row, self._vault.root_at(row.chain_index).state, row.chain_index, row.transaction)

    def _mark(self, row: RootRow, state: RootState, index: int, transaction: str | None) -> RootRow:
        with self._database() as db, db.begin():
            kept = db.get_one(RootRow, row.position)
            kept.state, kept.chain_index, kept.transaction = state.value, index, transaction
        return kept

    def _tree_at(self, position: int, cumulative: Mapping[str, int]) -> PayoutTree:
        kept = self._tree
        if kept is not None and kept[0] == position:
            return kept[1]
        tree = build_tree(self._domain.chain_id, self._domain.vault, cumulative)
        self._tree = (position, tree)
        return tree

    def _newest(self) -> RootRow | None:
        with self._database() as db:
            return db.scalar(select(RootRow).order_by(RootRow.position.desc()).limit(1))

    def _file(self, root: str) -> Path:
        return self._folder / f"{root}.json"

    def _told(self, row: RootRow) -> Root:
        return Root(
            row.position,
            row.root,
            row.chain_index,
            row.total_wei,
            row.payees,
            row.state,
            row.transaction,
            row.created_ms,
        )


def log_head(database: Database, log: Log) -> tuple[int, bytes]:
    """Return the episode log's size and RFC 6962 tree hash, from the checkpoint that its key signs."""
    with database() as db:
        head = open_checkpoint(log.checkpoint(db), log.verifier)
    return head.size, head.root


def _last_final(db: Session) -> int:
    return db.scalar(select(func.max(RootRow.position)).where(RootRow.state == RootState.FINAL)) or 0


def _cumulative(db: Session, position: int, include: int = 0, of: str | None = None) -> dict[str, int]:
    """Return every address's pay, or one's, under the roots up to `position` that are final, or are root `include`."""
    counts = (RootRow.state == RootState.FINAL) | (RootRow.position == include)
    last = (
        select(LeafRow.address, func.max(LeafRow.position).label("position"))
        .join(RootRow, RootRow.position == LeafRow.position)
        .where(LeafRow.position <= position, counts)
        .group_by(LeafRow.address)
    )
    newest = (last if of is None else last.where(LeafRow.address == of)).subquery()
    leaves = select(LeafRow.address, LeafRow.cumulative_wei).join(
        newest, (LeafRow.address == newest.c.address) & (LeafRow.position == newest.c.position)
    )
    return {row.address: row.cumulative_wei for row in db.execute(leaves)}
