"""An episode that people are to judge is noted with its score, in the same transaction."""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy.orm import Session

from rewards.people.reviews import RULES
from rewards.tables import OPEN, UnderReviewRow

REFUSED: Final = "refused"
"""The state of an episode about which nobody is asked: it could not be paid whatever they said."""


NOT_QUALIFIED: Final = (
    "Whoever drove it had not passed the first drive, so it is practice: pass that with any simulated robot, and what "
    "you drive after it can be paid."
)


def open_review(db: Session, row: UnderReviewRow, *, qualified: bool = True) -> None:
    """Let people judge an episode, or note why nobody is asked; `qualified`: whether its author is paid for drives.

    Whether a second person is asked in any case is drawn here, where neither host nor operator can foresee it.
    """
    if not qualified:
        row.score = {**row.score, "accepted": False, "reasons": [NOT_QUALIFIED, *row.score["reasons"]]}
    row.state = OPEN if row.score["accepted"] else REFUSED
    row.second = secrets.randbelow(RULES.second_in) == 0
    db.add(row)
