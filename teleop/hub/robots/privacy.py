"""Which robots are private, and which wallets their owners let read what is driven with them: decided before a drive.

What is decided counts from the next episode on: its ticket fixes it. Nothing is decided while somebody drives or waits,
who has read on the robot's card what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from teleop import clock
from teleop.hub.db import Database
from teleop.hub.tables import RobotReaderRow, RobotRow
from teleop.identity import require_address

READERS_MAX: Final = 500
"""Of one robot."""


class NotOwnerError(Exception):
    """Somebody other than its owner decides about a robot."""


class RobotDrivenError(Exception):
    """A robot is driven, or waited for, and what it is cannot be changed now."""


class Privacy:
    """Blocking: call it off the event loop."""

    def __init__(self, database: Database, now_ms: Callable[[], int] = clock.now_ms) -> None:
        self._database, self._now_ms = database, now_ms

    def readers(self, robot: str) -> list[str]:
        """Return the wallets that a robot's owner lets read its private episodes."""
        with self._database() as db:
            return _readers(db, robot)

    def lets_watch(self, robot: str, wallet: str) -> bool:
        """Return whether a wallet may see a robot live that somebody else drives: anybody, unless it is private."""
        with self._database() as db:
            row = db.get(RobotRow, robot)
            if row is None or not row.private or row.owner == wallet:
                return True
            return db.get(RobotReaderRow, (robot, wallet)) is not None

    def put(self, robot: str, owner: str, *, private: bool, readers: Sequence[str], driven: bool) -> list[str]:
        """Decide, as its owner; return the readers. `driven`: whether somebody drives it, or waits to.

        Raises NotOwnerError, RobotDrivenError or SignatureError (a reader that is no address).
        """
        wanted = list(dict.fromkeys(require_address(one) for one in readers))
        with self._database() as db, db.begin():
            row = db.scalars(select(RobotRow).where(RobotRow.address == robot).with_for_update()).one()
            if row.owner != owner:
                raise NotOwnerError(f"only the owner, {row.owner}, decides what is private, and you are {owner}")
            if row.private != private and driven:
                said = "somebody drives this robot or waits for it, and was told otherwise"
                raise RobotDrivenError(f"{said}: try again when nobody does")
            row.private = private
            named = set(_readers(db, robot))
            gone = RobotReaderRow.robot == robot, RobotReaderRow.wallet.in_(named - set(wanted))
            db.execute(delete(RobotReaderRow).where(*gone))
            new = [one for one in wanted if one not in named]
            db.add_all(RobotReaderRow(robot=robot, wallet=one, added_ms=self._now_ms()) for one in new)
            db.flush()
            return _readers(db, robot)


def _readers(db: Session, robot: str) -> list[str]:
    rows = select(RobotReaderRow.wallet).where(RobotReaderRow.robot == robot)
    return list(db.scalars(rows.order_by(RobotReaderRow.added_ms, RobotReaderRow.wallet)))
