"""Where an episode stands. One enum, one table of legal moves; an illegal one raises with what was expected and came.

A host's disk knows the first two (`recording`, `sealed`: see `recording.py`), a hub's table the rest. What follows
`verified` (scored, reviewed, settled, released) is derived in the rewards room from its own tables, and is never
written here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class EpisodeState(StrEnum):
    """Where an episode stands."""

    RECORDING = "recording"
    """The hub has heard of it, and waits for the host's seal."""
    SEALED = "sealed"
    """On the host's disk, whole and signed by the robot."""
    UPLOADED = "uploaded"
    """At the hub, waiting for the operator's signature."""
    VERIFIED = "verified"
    """Signed by both, passed by every gate, and in the log."""
    INVALID = "invalid"
    """The recording ended by an accident (`manifest.reason`): kept, never used or paid."""
    REJECTED = "rejected"
    """A gate refused it; `reason` says which, and why."""
    DISCARDED = "discarded"
    """The operator did not want it kept."""


MOVES: Final[dict[EpisodeState, frozenset[EpisodeState]]] = {
    EpisodeState.RECORDING: frozenset({EpisodeState.SEALED, EpisodeState.INVALID, EpisodeState.DISCARDED}),
    EpisodeState.SEALED: frozenset({EpisodeState.UPLOADED, EpisodeState.INVALID, EpisodeState.DISCARDED}),
    EpisodeState.UPLOADED: frozenset({EpisodeState.VERIFIED, EpisodeState.REJECTED, EpisodeState.DISCARDED}),
    EpisodeState.VERIFIED: frozenset(),
    EpisodeState.INVALID: frozenset(),
    EpisodeState.REJECTED: frozenset(),
    EpisodeState.DISCARDED: frozenset(),
}


class EpisodeStateError(Exception):
    """An episode was asked for a move that its state does not allow."""


def require_move(episode: str, now: EpisodeState, then: EpisodeState) -> EpisodeState:
    """Return `then` where `now -> then` is legal; raise EpisodeStateError elsewhere."""
    if then not in MOVES[now]:
        before = sorted(state.value for state, to in MOVES.items() if then in to)
        raise EpisodeStateError(f"{episode}: expected {' or '.join(before)} to become {then}, but it is {now}")
    return then
