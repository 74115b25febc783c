"""An episode that people are to judge is noted with its score, in the same transaction."""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy.orm import Session

from rewards.people.reviews import RULES
from rewards.tables import OPEN, UnderReviewRow

REFUSED: Final = "refused"
"""The state of an episode about which nobody is asked: it could not be paid whatever they said."""


def open_review(db: Session, row: UnderReviewRow) -> None:
    """Let people judge an episode, or note why nobody is asked.

    Whether a second person is asked in any case is drawn here, where neither host nor operator can foresee it.
    """
    row.state = OPEN if row.score["accepted"] else REFUSED
    row.second = secrets.randbelow(RULES.second_in) == 0
    db.add(row)
