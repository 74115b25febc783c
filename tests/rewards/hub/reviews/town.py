"""A town of people who drive and judge: a hub's tables without files, a clock that a test sets, and a seeded draw."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from rewards.hub.reviews.opening import open_review
from rewards.hub.reviews.store import Reviews
from rewards.hub.reviews.voting import EPISODE_REVIEW, Answer
from rewards.ledger import ledger
from rewards.ledger.shares import Shares
from rewards.people.reviews import RULES, ReviewRules
from rewards.score.verdict import Score
from rewards.score.versions import REVIEWED
from rewards.tables import ReviewRow, ReviewTaskRow, ScoreRow, UnderReviewRow
from teleop.hub.tables import LeaseRow, RobotRow, TicketRow
from tests.recorder.factory import DOMAIN, fixed_key
from tests.rewards.world import PRICE_WEI, DictVault, World, make_world

SHARES = Shares(owner_ppm=100_000, reviewer_ppm=50_000)
WORTH_PPM = 800_000
MINUTE_MS = 60_000
LENGTH_MS = 20_000


@dataclass
class Town:
    """Who lives there, and what they have driven."""

    world: World
    now_ms: int = 1_800_000_000_000
    count: int = 0
    truths: dict[str, bool] = field(default_factory=dict)

    def reviews(self, seed: int = 1, rules: ReviewRules = RULES, *, qualification: bool = False) -> Reviews:
        """Return the reviews of this hub."""
        options: dict[str, Any] = {"rules": rules, "draw": random.Random(seed), "clock_ms": lambda: self.now_ms}
        return Reviews(self.world.database, DOMAIN, qualification=qualification, **options)

    def robot(self, name: str, owner: LocalAccount, *, simulated: bool = False) -> str:
        """Register a robot."""
        address = fixed_key(f"robot {name}").address
        same = {"name": name, "model": "so101", "simulated": simulated, "signature": "0x", "epoch": 1, "created_ms": 1}
        with self.world.database() as db, db.begin():
            db.add(RobotRow(address=address, owner=owner.address, **same))
            db.flush()
            lease = {"lease": f"L{name}", "robot": address, "operator": owner.address, "epoch": 1, "grant": {}}
            db.add(LeaseRow(**lease, signature="0x", started_ms=1))
        return address

    def episode(self, who: LocalAccount, robot: str, **changed: Any) -> EpisodeRow:
        """Return a verified episode and its ticket, not written yet."""
        self.count += 1
        name = f"e{self.count}"
        said = {
            "episode": name,
            "state": EpisodeState.VERIFIED,
            "robot": robot,
            "operator": who.address,
            "task": "lift",
            "trust": TrustClass.WITNESSED,
            "digest": f"0x{self.count:064x}",
            "duration_ms": LENGTH_MS,
            "log_index": self.count,
            "created_ms": self.count,
        }
        return EpisodeRow(**said | changed)

    def keep(self, rows: list[EpisodeRow], said: bool | None = None) -> list[str]:
        """Write episodes and their tickets, and return their names."""
        names = {one.address: one.name for one in self.robots}
        ticket = {"nonce": "0x", "issued_ms": 1, "price_wei": PRICE_WEI, "shares": asdict(SHARES), "said": said}
        with self.world.database() as db, db.begin():
            for row in rows:
                same = {"robot": row.robot, "operator": row.operator, "task": row.task, "seed": 1}
                db.add(row)
                db.add(TicketRow(episode=row.episode, lease=f"L{names[row.robot]}", **same, **ticket))
            db.flush()
            return [row.episode for row in rows]

    @property
    def robots(self) -> list[RobotRow]:
        """Every robot."""
        with self.world.database() as db:
            return list(db.query(RobotRow))

    def filmed(
        self, author: LocalAccount, robot: str, *, said: bool | None = True, second: bool = False, fine: bool = True
    ) -> str:
        """Let somebody drive a real robot, and put that under review."""
        [episode] = self.keep([self.episode(author, robot)], said)
        owner = next(one.owner for one in self.robots if one.address == robot)
        worth = Score(REVIEWED, WORTH_PPM, fine, {"success": 1.0}, ("Go straight.",))
        named = {"episode": episode, "author": author.address, "robot": robot, "owner": owner, "task": "lift"}
        row = UnderReviewRow(
            **named,
            said=said,
            score=asdict(worth),
            price_wei=PRICE_WEI,
            shares=asdict(SHARES),
            opened_ms=self.now_ms,
        )
        with self.world.database() as db, db.begin():
            open_review(db, row)
            row.second = second
        return episode

    def known(self, who: LocalAccount, robot: str, truth: bool) -> str:
        """Let somebody drive a simulated robot, whose success the hub has computed."""
        row = self.episode(who, robot, trust=TrustClass.REPLAYED, success=truth)
        self.truths[row.episode] = truth
        return self.keep([row])[0]

    def driver(self, name: str, robot: str, accepted: int = 3) -> LocalAccount:
        """Return somebody who has driven so many accepted episodes on a simulated robot."""
        who = fixed_key(name)
        driven = [self.episode(who, robot, trust=TrustClass.REPLAYED, success=None) for _ in range(accepted)]
        score = {"score_ppm": 1, "accepted": True, "vector": {}, "reasons": [], "task": "lift", "price_wei": 0}
        same = {"version": "3", "operator": who.address, "pay_wei": 0, "scored_ms": 1}
        names = self.keep(driven)
        with self.world.database() as db, db.begin():
            db.add_all(ScoreRow(episode=name, **same, **score) for name in names)
        return who

    def says(
        self, reviews: Reviews, who: LocalAccount, episode: str, passed: bool, *, looks: bool = True, **changed: Any
    ) -> None:
        """Answer a task, as a page does, once enough of it can have been seen."""
        self.now_ms += LENGTH_MS
        digest = self.digest(episode)
        seen = {"pictures_s": LENGTH_MS / 1000 if looks else 0.0, "replay_s": 0.0}
        answer = Answer(who.address, episode, passed, "", seen, self.now_ms, "")
        signature = EPISODE_REVIEW.sign(who, DOMAIN, answer.statement(digest))
        said = {**{name: getattr(answer, name) for name in answer.__slots__}, "signature": signature, **changed}
        reviews.answer(Answer(**said))

    def digest(self, episode: str) -> str:
        """Return what an episode's operator signed."""
        with self.world.database() as db:
            return db.get_one(EpisodeRow, episode).digest or ""

    def trusted(self, reviews: Reviews, who: LocalAccount) -> LocalAccount:
        """Let somebody give right known answers until their votes count."""
        for _ in range(40):
            if reviews.standing(who.address).standing == "trusted":
                return who
            task = reviews.next(who.address).task
            assert task is not None, "too few known answers"
            assert task.episode in self.truths
            self.says(reviews, who, task.episode, self.truths[task.episode])
        raise AssertionError("never trusted")

    def person(self, name: str) -> LocalAccount:
        """Return somebody whose votes count: they have driven enough, and given enough known answers long ago."""
        who = self.driver(name, next(one.address for one in self.robots if one.simulated))
        picked = [episode for truth in (True, False) for episode in self.known_of(truth)[: RULES.known_each]]
        same = {"reviewer": who.address, "author": fixed_key("learner").address, "reason": "", "seen": {}}
        asked = {"reviewer": who.address, "assigned_ms": 1, "due_ms": 2, "state": "answered", "counts": False}
        with self.world.database() as db, db.begin():
            for episode in picked:
                truth = self.truths[episode]
                said = {"passed": truth, "truth": truth, "word": None, "digest": "0x", "signature": "0x"}
                db.add(ReviewRow(episode=episode, reviewed_ms=1, **same, **said))
                db.add(ReviewTaskRow(episode=episode, truth=truth, **asked))
        return who

    def known_of(self, truth: bool) -> list[str]:
        """Return the known episodes with that answer."""
        return [episode for episode, known in self.truths.items() if known is truth]

    def judges(self, reviews: Reviews, who: LocalAccount, episode: str, passed: bool) -> bool:
        """Let somebody judge what comes until it is that episode; return whether it ever comes."""
        for _ in range(60):
            task = reviews.next(who.address).task
            if task is None:
                return False
            if task.episode == episode:
                self.says(reviews, who, episode, passed)
                return True
            right = self.truths.get(task.episode)
            if right is None:
                reviews.refuse(who.address, task.episode)
            else:
                self.says(reviews, who, task.episode, right)
        return False

    def earned(self, who: LocalAccount) -> int:
        """Return what somebody has earned, with the ledger audited."""
        with self.world.database() as db:
            ledger.audit(db)
            return ledger.balance(db, ledger.operator(who.address))

    def state(self, episode: str) -> str:
        """Return where the review of an episode stands."""
        with self.world.database() as db:
            return db.get_one(UnderReviewRow, episode).state


def make_town(folder: Path) -> Town:
    """Return a town with a simulated robot that everybody may drive, sixty known answers, and a full pool."""
    world = make_world(folder, DictVault())
    world.pipeline().fund("lift", 1000 * PRICE_WEI, "first")
    town = Town(world)
    mayor = fixed_key("mayor")
    simulated = town.robot("simulated", mayor, simulated=True)
    same = {"trust": TrustClass.REPLAYED}
    rows = [town.episode(fixed_key("learner"), simulated, success=index % 2 == 0, **same) for index in range(60)]
    town.truths.update({row.episode: bool(row.success) for row in rows})
    town.keep(rows)
    return town
