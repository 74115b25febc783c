"""An episode moves only along the legal moves."""

from __future__ import annotations

import itertools

import pytest

from recorder.hub.states import MOVES, EpisodeState, EpisodeStateError, require_move


def test_every_other_move_raises_with_what_was_expected_and_what_came() -> None:
    for now, then in itertools.product(EpisodeState, repeat=2):
        if then in MOVES[now]:
            assert require_move("e", now, then) is then
            continue
        with pytest.raises(EpisodeStateError, match=f"to become {then}, but it is {now}"):
            require_move("e", now, then)


def test_ends_are_ends() -> None:
    ends = {"verified", "invalid", "discarded"}

    assert {state.value for state in EpisodeState if not MOVES[state]} == ends
