"""A hub with many verified episodes, none of which has a file, and the routes of its data sets, in process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlalchemy import insert, update
from sqlalchemy.orm import Session, sessionmaker

from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from rewards.hub.datasets.api import router
from rewards.hub.datasets.changes import EPISODES_MAX, Changes
from rewards.hub.datasets.consent import Consent
from rewards.hub.datasets.sets import Sets, of_dataset
from rewards.hub.search import Search
from rewards.hub.search_api import router as search_router
from rewards.tables import PracticeRow, ScoreRow, SearchedRow
from teleop.hub import errors
from teleop.hub.db import open_database, open_engine
from teleop.hub.errors import ApiError
from teleop.hub.tables import LeaseRow, RobotRow, TicketRow
from tests.databases import url_below, with_tables
from tests.recorder.factory import fixed_key
from tests.rewards.world import ADA, BOB

WALLETS = {"ada": ADA, "bob": BOB}
ROBOT = fixed_key("robot").address
LIFT = {"title": "Lifts", "licence": "CC-BY-4.0"}


def signed_in(request: Request) -> str:
    """Take the wallet's name for its token."""
    name = request.headers.get("authorization", "").removeprefix("Bearer ")
    if name not in WALLETS:
        raise ApiError(401, "auth", "expected the token of a signed-in wallet; sign in again")
    return WALLETS[name]


@dataclass
class Shop:
    """What outlives a restart, and what a start makes of it."""

    database: sessionmaker[Session]
    episodes_max: int = EPISODES_MAX
    now_ms: int = 1000

    @property
    def changes(self) -> Changes:
        return Changes(self.database, Search(self.database, of_dataset).episodes, self.clock, self.episodes_max)

    @property
    def consent(self) -> Consent:
        return Consent(self.database, self.changes, self.clock)

    @property
    def sets(self) -> Sets:
        return Sets(self.database)

    def clock(self) -> int:
        """Each moment comes once."""
        self.now_ms += 1
        return self.now_ms

    def stock(
        self,
        count: int,
        *,
        first: int = 0,
        operator: str = ADA,
        seeds: Sequence[int] | None = None,
        practice: bool = False,
        scored: bool = True,
        **changes: Any,
    ) -> list[str]:
        """Put verified episodes into the tables, with tickets if there are `seeds`; return their ids."""
        ids = [f"e{first + at:05}" for at in range(count)]
        with self.database() as db, db.begin():
            db.execute(insert(EpisodeRow), [_row(one, operator, **changes) for one in ids])
            if seeds is not None:
                _lease(db)
                db.execute(insert(TicketRow), [_ticket(one, seed) for one, seed in zip(ids, seeds, strict=True)])
            scores = [_score(one, operator) for one in ids]
            if scored:
                db.execute(insert(ScoreRow), scores)
            said = {"score_ppm": 800_000, "rules": "3", "accepted": True} if scored else {}
            if said or practice:
                db.execute(update(SearchedRow).where(SearchedRow.episode.in_(ids)).values(practice=practice, **said))
            if practice:
                same = {"operator": operator, "passed": True, "checks": [], "checked_ms": 1}
                db.execute(insert(PracticeRow), [{"episode": one, **same} for one in ids])
        return ids

    @contextmanager
    def served(self) -> Iterator[TestClient]:
        """Yield a client of the routes."""
        app = FastAPI()
        errors.install(app)
        app.include_router(search_router(Search(self.database, of_dataset)))
        app.include_router(router(self.database, self.changes, self.consent, signed_in))
        with TestClient(app) as client:
            yield client


def opened(folder: Path) -> Shop:
    """Return a fresh shop below a folder."""
    engine = open_engine(url_below(folder))
    with_tables(engine)
    return Shop(open_database(engine))


def _row(episode: str, operator: str, **changes: Any) -> dict[str, Any]:
    sha256 = hashlib.sha256(episode.encode()).hexdigest()
    said = {
        "episode": episode,
        "state": EpisodeState.VERIFIED,
        "robot": ROBOT,
        "operator": operator,
        "task": "lift",
        "model": "panda",
        "duration_ms": 1500,
        "digest": "0x" + sha256[::-1],
        "sha256": sha256,
        "size": 1000,
        "success": True,
        "trust": TrustClass.REPLAYED,
        "created_ms": int(episode[1:]),
    }
    return said | changes


def _score(episode: str, operator: str) -> dict[str, Any]:
    said = {"version": "3", "score_ppm": 800_000, "accepted": True, "vector": {}, "reasons": [], "task": "lift"}
    return {"episode": episode, "operator": operator, "price_wei": 0, "pay_wei": 0, "scored_ms": 1, **said}


def _lease(db: Session) -> None:
    if db.get(LeaseRow, "lease") is None:
        robot = {"owner": BOB, "name": "r", "model": "panda", "simulated": True, "signature": "0x"}
        db.add(RobotRow(address=ROBOT, created_ms=1, **robot))
        db.flush()
        lease = {"robot": ROBOT, "operator": ADA, "epoch": 1, "grant": {}, "signature": "0x", "started_ms": 1}
        db.add(LeaseRow(lease="lease", **lease))
        db.flush()


def _ticket(episode: str, seed: int) -> dict[str, Any]:
    same = {"lease": "lease", "robot": ROBOT, "operator": ADA, "task": "lift", "nonce": "0x", "issued_ms": 1}
    return {"episode": episode, "seed": seed, "model": "panda", "simulated": True, **same}
