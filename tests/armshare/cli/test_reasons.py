"""An episode that was not accepted says why, in the terminal as in the page."""

from __future__ import annotations

from armshare.operator.drive import Outcome, lines
from armshare.operator.handing import Episode
from armshare.operator.unsigned import Decided
from armshare.operator.unsigned import lines as decided_lines

WHY = "The task was not done when the episode ended. Hold the goal for half a second, then finish."


def episode(*, accepted: bool, practice: bool = False) -> Episode:
    return Episode("e1", 60, accepted, 0.5, accepted, "", 0, "0", practice, ["Grip once."], [WHY])


def test_a_drive_that_was_not_accepted_says_why():
    assert [*lines(Outcome("", episodes=[episode(accepted=False)]))][1:] == [f"  {WHY}"]


def test_an_accepted_one_says_nothing_more_and_practice_says_what_is_missing():
    assert len([*lines(Outcome("", episodes=[episode(accepted=True)]))]) == 1
    (_, practised) = lines(Outcome("", episodes=[episode(accepted=False, practice=True)]))
    assert practised.endswith("Grip once.")


def test_one_that_was_signed_later_says_why():
    score = {"episode": "e1", "accepted": False, "score": 0.5, "reasons": [WHY]}
    assert [*decided_lines(Decided("", signed=[score]))] == ["[red]not accepted[/red]  e1  score 0.500", f"  {WHY}"]
