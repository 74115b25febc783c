"""What a session is told to do: the hub's orders, and the host's own."""

from __future__ import annotations

from dataclasses import dataclass

from teleop.steps import CannotRecord
from teleop.wire import signalling


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Ends the driving; an open episode ends with it."""


@dataclass(frozen=True, slots=True)
class Recordable:
    """The recorder cannot keep steps, for this reason; None: it can."""

    trouble: CannotRecord | None


@dataclass(frozen=True, slots=True)
class Release:
    """The owner releases what is latched under that name. A hub's `clear` becomes one once its signature is checked."""

    stop: str
    by: str


Order = (
    signalling.LeaseOrder
    | signalling.BeginOrder
    | signalling.NoteOrder
    | signalling.FinishOrder
    | signalling.PauseOrder
    | signalling.ResumeOrder
    | signalling.Revoke
    | signalling.EstopOrder
    | Release
    | Recordable
    | Shutdown
)
