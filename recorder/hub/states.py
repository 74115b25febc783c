"""The states of an episode: one enum, one table of legal moves. An illegal move raises, with what was expected.

The first two (`recording`, `sealed`: see `recording.py`) are on a host's disk, the rest in the hub's table. What
follows `verified` (scored, reviewed, settled, released) is derived in `rewards` from its own tables, and is never
written here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class EpisodeState(StrEnum):
    """The state of an episode."""

    RECORDING = "recording"
    """The hub knows of it, and waits for the host to seal it."""
    SEALED = "sealed"
    """On the host's disk, whole and signed by the robot."""
    UPLOADED = "uploaded"
    """At the hub, waiting for the operator's signature."""
    HELD = "held"
    """Signed by both, and waiting to be checked again: `reason` says what kept the hub from it."""
    VERIFIED = "verified"
    """Signed by both, passed by every gate, and in the log."""
    INVALID = "invalid"
    """The recording ended abnormally (`manifest.reason`): kept, never used or paid."""
    REJECTED = "rejected"
    """A gate refused it; `reason` says which, and why. Its operator may ask for another look, once, if it has files."""
    DISCARDED = "discarded"
    """The operator chose not to keep it."""


MOVES: Final[dict[EpisodeState, frozenset[EpisodeState]]] = {
    EpisodeState.RECORDING: frozenset(
        {
            EpisodeState.SEALED,
            EpisodeState.INVALID,
            EpisodeState.REJECTED,  # the hub refused what its host handed in, and so never has its files
            EpisodeState.DISCARDED,
        }
    ),
    EpisodeState.SEALED: frozenset(
        {EpisodeState.UPLOADED, EpisodeState.INVALID, EpisodeState.REJECTED, EpisodeState.DISCARDED}
    ),
    EpisodeState.UPLOADED: frozenset(
        {EpisodeState.VERIFIED, EpisodeState.HELD, EpisodeState.REJECTED, EpisodeState.DISCARDED}
    ),
    EpisodeState.HELD: frozenset(
        {
            EpisodeState.VERIFIED,
            EpisodeState.HELD,
            EpisodeState.UPLOADED,  # the signature that it was held with turned out to be wrong
            EpisodeState.REJECTED,
            EpisodeState.DISCARDED,
        }
    ),
    EpisodeState.VERIFIED: frozenset(),
    EpisodeState.INVALID: frozenset(),
    EpisodeState.REJECTED: frozenset({EpisodeState.HELD}),
    EpisodeState.DISCARDED: frozenset(),
}


class EpisodeStateError(Exception):
    """An episode was asked for a move that its state does not allow."""


def require_move(episode: str, now: EpisodeState, then: EpisodeState) -> EpisodeState:
    """Return `then` if `now -> then` is legal; raise EpisodeStateError otherwise."""
    if then not in MOVES[now]:
        before = sorted(state.value for state, to in MOVES.items() if then in to)
        raise EpisodeStateError(f"{episode}: expected {' or '.join(before)} to become {then}, but it is {now}")
    return then
