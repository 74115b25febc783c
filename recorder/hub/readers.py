"""Who may read a private episode, and who has read it: each thing of it that is given out is noted for its operator.

At first hand: its operator, its robot's owner, and the wallets that this owner lets read. Beside them, whoever a data
set lets in (`Beside`), which `rewards` knows. A right that ended gives nothing any more; what was given stays given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from fastapi import Request
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow, UseRow
from teleop.hub.db import Database
from teleop.hub.errors import ApiError
from teleop.hub.tables import RobotReaderRow, RobotRow

PURPOSE: Final = "Armshare-Purpose"
PURPOSE_MAX: Final = 200
SAME_USE_MS: Final = 3_600_000
"""What a wallet is given again within an hour, for the same purpose, is one use."""
USES_MAX: Final = 1000
_AT_ONCE: Final = 1000


class What(StrEnum):
    """What was given of an episode."""

    KEY = "key"
    FILE = "file"
    PICTURES = "pictures"
    MOTION = "motion"
    SCORE = "score"
    EXPORT = "export"


class Because(StrEnum):
    """Why a wallet may read an episode."""

    OPERATOR = "operator"
    OWNER = "owner"
    READER = "reader"
    DATASET = "dataset"


class Beside(Protocol):
    """Who else may read."""

    def lets(self, db: Session, episode: str, wallet: str) -> bool:
        """Return whether a wallet may read an episode by a data set that has it."""

    def named(self, db: Session, episode: str) -> dict[str, str]:
        """Return the wallets that may read it so, each with its data set."""


class Nobody:
    """Nobody else may read."""

    def lets(self, _db: Session, _episode: str, _wallet: str) -> bool:
        """Return that they may not."""
        return False

    def named(self, _db: Session, _episode: str) -> dict[str, str]:
        """Return that there is nobody."""
        return {}


@dataclass(frozen=True, slots=True)
class Asker:
    """Whoever asks, and what for."""

    wallet: Callable[[], str | None]
    """None for somebody who has not signed in; raises NotSignedInError for a token that is over. It may block."""
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """A wallet that may read an episode."""

    wallet: str
    because: Because
    dataset: str | None


@dataclass(frozen=True, slots=True)
class Use:
    """What a wallet was given, and when."""

    wallet: str
    what: What
    purpose: str
    """In its own words; empty if it gave none."""
    first_ms: int
    last_ms: int
    times: int


@dataclass(frozen=True, slots=True)
class Uses:
    """Who may read an episode, and who has."""

    episode: str
    private: bool
    readers: list[Reader]
    uses: list[Use]
    """The latest first, the last thousand."""


class Readers:
    """Blocking: call it off the event loop."""

    def __init__(
        self,
        database: Database,
        now_ms: Callable[[], int],
        beside: Beside | None = None,
        withdrawn: Callable[[str], bool] = lambda _episode: False,
    ) -> None:
        """`withdrawn` says whether an operator's consent has ended: then only they and the robot's owner read."""
        self._database, self._now_ms, self._withdrawn = database, now_ms, withdrawn
        self._beside: Beside = beside or Nobody()

    def let(self, episode: str, asker: Asker, what: What) -> bool:
        """Let whoever asks read an episode, and note it; return whether it is private: a public one is everybody's.

        Raises ApiError. Before it is verified, it is given to its operator and its robot's owner only: anybody else
        could hand it in first.
        """
        with self._database() as db:
            row = _row(db, episode)
            if not row.private:
                return False
            who = asker.wallet()
            because = self._because(db, row, who)
        if row.state is EpisodeState.DISCARDED:
            raise ApiError(409, "episode_state", f"{episode} was discarded by its operator; nothing of it is given out")
        others = because not in (Because.OPERATOR, Because.OWNER)
        if who is None or because is None or (others and row.state is not EpisodeState.VERIFIED):
            raise ApiError(403, "not_reader", _stranger(episode, who))
        if others and self._withdrawn(episode):
            said = f"the operator of {episode} has withdrawn it, so it is not given out any more"
            raise ApiError(410, "episode_withdrawn", said)
        self.note_all([episode], who, what, asker.purpose)
        return True

    def reads(self, episode: str, asker: Asker) -> bool:
        """Return whether whoever asks may read an episode: anybody, if it is public."""
        with self._database() as db:
            row = _row(db, episode)
            return not row.private or self._because(db, row, asker.wallet()) is not None

    def unreadable(self, db: Session, episodes: Sequence[str], wallet: str) -> list[str]:
        """Return those of these episodes that a wallet may not read, in their order."""
        first = set(not_first_hand(db, episodes, wallet))
        return [one for one in episodes if one in first and not self._beside.lets(db, one, wallet)]

    def uses(self, episode: str, wallet: str) -> Uses:
        """Return who may read an episode and who has, to its operator and its robot's owner; raise ApiError."""
        with self._database() as db:
            row = _row(db, episode)
            if _first_hand(db, row, wallet) not in (Because.OPERATOR, Because.OWNER):
                said = f"only the operator of {episode} and its robot's owner are told who uses it, not {wallet}"
                raise ApiError(403, "not_theirs", said)
            wanted = select(UseRow).where(UseRow.episode == episode).order_by(UseRow.last_ms.desc(), UseRow.id.desc())
            rows = db.scalars(wanted.limit(USES_MAX))
            uses = [Use(one.wallet, What(one.what), one.purpose, one.first_ms, one.last_ms, one.times) for one in rows]
            return Uses(episode, row.private, list(self._readers(db, row)) if row.private else [], uses)

    def note_all(self, episodes: Sequence[str], wallet: str, what: What, purpose: str = "") -> None:
        """Note that a wallet is given these, of which only the private ones are noted; what cannot be is not given."""
        now_ms, said = self._now_ms(), purpose[:PURPOSE_MAX]
        same = UseRow.wallet == wallet, UseRow.what == what.value, UseRow.purpose == said
        for some in _chunks(private_of(self._database, episodes)):
            with self._database() as db, db.begin():
                here = *same, UseRow.episode.in_(some), UseRow.last_ms > now_ms - SAME_USE_MS
                noted = set(db.scalars(select(UseRow.episode).where(*here)))
                db.execute(update(UseRow).where(*here).values(last_ms=now_ms, times=UseRow.times + 1))
                named = {"wallet": wallet, "what": what.value, "purpose": said}
                when = {"first_ms": now_ms, "last_ms": now_ms, "times": 1}
                if rest := [{"episode": one, **named, **when} for one in some if one not in noted]:
                    db.execute(insert(UseRow), rest)

    def _because(self, db: Session, row: EpisodeRow, wallet: str | None) -> Because | None:
        if wallet is None:
            return None
        first = _first_hand(db, row, wallet)
        if first is None and self._beside.lets(db, row.episode, wallet):
            return Because.DATASET
        return first

    def _readers(self, db: Session, row: EpisodeRow) -> Iterator[Reader]:
        yield Reader(row.operator, Because.OPERATOR, None)
        robot = db.get(RobotRow, row.robot)
        if robot is not None:
            yield Reader(robot.owner, Because.OWNER, None)
        for wallet in readers_of(db, row.robot):
            yield Reader(wallet, Because.READER, None)
        for wallet, dataset in self._beside.named(db, row.episode).items():
            yield Reader(wallet, Because.DATASET, dataset)


def asking(operator: Callable[[Request], str], request: Request) -> Asker:
    """Return who asks, as `operator` knows, and what for, as the header `Armshare-Purpose` says."""
    said = request.headers.get(PURPOSE, "")[:PURPOSE_MAX]
    purpose = "".join(one if one.isprintable() else " " for one in said).strip()
    return Asker(lambda: operator(request) if request.headers.get("authorization") else None, purpose)


def readers_of(db: Session, robot: str) -> list[str]:
    """Return the wallets that a robot's owner lets read its private episodes."""
    rows = select(RobotReaderRow.wallet).where(RobotReaderRow.robot == robot)
    return list(db.scalars(rows.order_by(RobotReaderRow.added_ms, RobotReaderRow.wallet)))


def private_of(database: Database, episodes: Sequence[str]) -> list[str]:
    """Return which of these episodes are private, in their order."""
    found: set[str] = set()
    with database() as db:
        for some in _chunks(episodes):
            wanted = select(EpisodeRow.episode).where(EpisodeRow.episode.in_(some), EpisodeRow.private)
            found |= set(db.scalars(wanted))
    return [one for one in episodes if one in found]


def not_first_hand(db: Session, episodes: Sequence[str], wallet: str) -> list[str]:
    """Return those private ones of these episodes that a wallet may not read at first hand."""
    of_robot: dict[tuple[str, str], list[str]] = defaultdict(list)
    columns = EpisodeRow.episode, EpisodeRow.robot, EpisodeRow.operator
    for some in _chunks(episodes):
        for row in db.execute(select(*columns).where(EpisodeRow.episode.in_(some), EpisodeRow.private)):
            of_robot[row.robot, row.operator].append(row.episode)
    closed = closed_to(db, of_robot, wallet)
    return [episode for pair in closed for episode in of_robot[pair]]


def closed_to(db: Session, pairs: Collection[tuple[str, str]], wallet: str) -> list[tuple[str, str]]:
    """Return those pairs of a robot and an operator whose private episodes a wallet may not read at first hand."""
    others = [pair for pair in pairs if pair[1] != wallet]
    robots = {robot: _of_robot(db, robot, wallet) for robot in {robot for robot, _ in others}}
    return [pair for pair in others if robots[pair[0]] is None]


def _first_hand(db: Session, row: EpisodeRow, wallet: str) -> Because | None:
    return Because.OPERATOR if wallet == row.operator else _of_robot(db, row.robot, wallet)


def _of_robot(db: Session, robot: str, wallet: str) -> Because | None:
    row = db.get(RobotRow, robot)
    if row is not None and row.owner == wallet:
        return Because.OWNER
    return None if db.get(RobotReaderRow, (robot, wallet)) is None else Because.READER


def _row(db: Session, episode: str) -> EpisodeRow:
    row = db.get(EpisodeRow, episode)
    if row is None:
        raise ApiError(404, "unknown_episode", f"expected an episode of this hub, got {episode[:80]!r}")
    return row


def _stranger(episode: str, wallet: str | None) -> str:
    who = "sign in as one of them" if wallet is None else f"{wallet} is not one of them"
    may = "its operator, its robot's owner and the wallets that these let read it"
    return f"{episode} is private: it is given to {may}; {who}"


def _chunks(episodes: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(episodes), _AT_ONCE):
        yield episodes[at : at + _AT_ONCE]
