"""A hub without a network: a database on disk, a store with recorded episodes, and a vault kept in a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from recorder.hub.states import EpisodeState
from recorder.hub.store import FolderStore
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from rewards.chain.payouts import Payouts, Vault
from rewards.chain.vault import (
    ChainUnreachableError,
    Claim,
    NothingToClaimError,
    RootRecord,
    Settlement,
    VaultRefusedError,
)
from rewards.hub.pipeline import Pipeline
from rewards.ledger.settle import PayoutTree, RootState, leaf
from teleop.hub.db import open_database, open_engine
from teleop.identity import Domain
from tests.databases import url_below, with_tables
from tests.recorder.factory import DOMAIN, WALLET, fixed_key
from tests.rewards.drives import recorded
from tests.rewards.stranger import climbs

ADA, BOB = WALLET.address, fixed_key("bob").address
PRICE_WEI = 10**18


class DictVault:
    """Keeps the vault's promises in memory; `fail` makes the chain vanish before or after the next transaction."""

    def __init__(self, domain: Domain = DOMAIN, delay: bool = False) -> None:
        self.domain, self.delay = domain, delay
        self.roots: list[RootRecord] = []
        self.paid: dict[str, int] = {}
        self.fail = ""

    def propose_and_finalize(self, tree: PayoutTree, log_size: int = 0, log_hash: bytes = bytes(32)) -> Settlement:
        """As the chain: the newest root that says the same is this root."""
        self._vanish("before")
        newest = self.roots[-1] if self.roots else None
        if newest is None or not newest.holds(tree.root, tree.total, log_size, log_hash):
            if newest is not None and newest.state is RootState.PROPOSED:
                raise VaultRefusedError("proposing a root", "RootPending", {"index": newest.index})
            state = RootState.PROPOSED if self.delay else RootState.FINAL
            newest = RootRecord(len(self.roots), tree.root, log_hash, tree.total, log_size, 0, state)
            self.roots.append(newest)
        self._vanish("after")
        return Settlement(newest.index, newest.root, newest.state, "0x" + "01" * 32)

    def finalize_due(self) -> RootRecord | None:
        """Make the newest root final, once the delay is taken away."""
        self._vanish("before")
        if not self.delay and self.roots and self.roots[-1].state is RootState.PROPOSED:
            self.become(RootState.FINAL)
        return self.roots[-1] if self.roots else None

    def become(self, state: RootState) -> None:
        """Set the newest root's state."""
        old = self.roots[-1]
        self.roots[-1] = RootRecord(old.index, old.root, old.log_hash, old.total, old.log_size, 0, state)

    def root_at(self, index: int) -> RootRecord:
        """Read one root."""
        if index >= len(self.roots):
            raise VaultRefusedError("reading a root", "UnknownRoot", {"index": index, "count": len(self.roots)})
        return self.roots[index]

    def claim(self, account: str, cumulative: int, proof: Sequence[bytes], root_index: int) -> Claim:
        """Pay the difference, once, for a proof that holds."""
        self._vanish("before")
        claimed = self.claimed(account)
        if cumulative <= claimed:
            raise NothingToClaimError(account, cumulative, claimed)
        digest = leaf(self.domain.chain_id, self.domain.vault, account, cumulative)
        assert self.roots[root_index].state is RootState.FINAL
        assert climbs(self.roots[root_index].root, digest, proof)
        self.paid[account] = cumulative
        return Claim("0x" + "02" * 32, account, cumulative - claimed)

    def claimed(self, account: str) -> int:
        """Wei claimed since the beginning."""
        return self.paid.get(account, 0)

    def balance_of(self, account: str) -> int:
        """Wei in the wallet."""
        return self.paid.get(account, 0)

    def _vanish(self, moment: str) -> None:
        if self.fail == moment:
            self.fail = ""
            raise ChainUnreachableError("the fake chain", moment)


@dataclass
class World:
    """Everything that outlives a restart, and what a start makes of it."""

    folder: Path
    vault: Vault
    domain: Domain
    database: sessionmaker[Session]
    store: FolderStore
    prices: dict[str, int] = field(default_factory=lambda: {"lift": PRICE_WEI})
    qualification: bool = False
    log_size: int = 0
    count: int = 0

    def payouts(self) -> Payouts:
        """Return payouts as after a restart."""
        head: Callable[[], tuple[int, bytes]] = lambda: (self.log_size, bytes([self.log_size]) * 32)  # noqa: E731
        return Payouts(self.database, self.vault, self.domain, self.folder / "roots", head, lambda: 1)

    def pipeline(self, **options: Any) -> Pipeline:
        """Return a pipeline as after a restart."""
        options = {"qualification": self.qualification, "clock_ms": lambda: 1, **options}
        return Pipeline(self.database, self.store, self.payouts(), self.prices, **options)

    def verified(self, episode: str, *, operator: str = ADA, trust: TrustClass | None = None, **drive: Any) -> str:
        """Put a verified episode into the store and the table, as the recorder's intake does."""
        file = recorded(self.folder / "recorded", episode=episode, **drive)
        self.store.adopt(episode, "episode.h5", file)
        return self.listed(episode, EpisodeState.VERIFIED, operator, trust)

    def listed(self, episode: str, state: EpisodeState, operator: str = ADA, trust: TrustClass | None = None) -> str:
        """Put an episode into the table only."""
        self.count += 1
        row = EpisodeRow(
            episode=episode,
            state=state,
            robot=fixed_key("robot").address,
            operator=operator,
            task="lift",
            log_index=self.count if state is EpisodeState.VERIFIED else None,
            created_ms=self.count,
            trust=trust,
        )
        with self.database() as db, db.begin():
            db.add(row)
        return episode


def make_world(folder: Path, vault: Vault, domain: Domain = DOMAIN) -> World:
    """Return a fresh world below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_engine(url_below(folder))
    with_tables(engine)
    return World(folder, vault, domain, open_database(engine), FolderStore(folder / "episodes"))
