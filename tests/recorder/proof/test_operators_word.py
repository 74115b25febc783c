"""Promises about the operator's word: it is theirs, and no host changes it."""

from __future__ import annotations

import msgspec
import pytest

from recorder.file.meta import EndMeta
from recorder.proof.asked import Live, another_word
from teleop.wire.reasons import EndReason

DONE, NOT = Live(finished=True, said=True), Live(finished=True, said=False)
SILENT = Live(finished=True)


def end(said: bool | None, reason: EndReason = EndReason.FINISHED) -> EndMeta:
    return EndMeta(5, None, reason, "1", "1", [], msgspec.UNSET if said is None else said)


@pytest.mark.parametrize(("live", "said"), [(DONE, True), (NOT, False), (SILENT, None)])
def test_what_the_operator_said_is_what_the_file_says(live: Live, said: bool | None) -> None:
    assert another_word(live, end(said)) is None


@pytest.mark.parametrize(("live", "said"), [(DONE, False), (NOT, True), (NOT, None), (SILENT, True), (SILENT, False)])
def test_a_host_that_says_otherwise_is_refused_and_told_both(live: Live, said: bool | None) -> None:
    told = another_word(live, end(said))
    assert told is not None
    assert "the operator" in told


def test_what_came_a_moment_after_the_last_step_is_no_word_on_that_episode() -> None:
    """The step limit came while `finish` was on its way: the hub has heard it, and the host could not keep it."""
    assert another_word(DONE, end(None, EndReason.STEP_LIMIT)) is None
    assert another_word(DONE, end(True, EndReason.STEP_LIMIT)) is not None


def test_a_hub_that_crashed_meanwhile_does_not_know_and_refuses_nothing() -> None:
    assert another_word(Live(finished=None), end(True)) is None
