"""What a session is told to do: the hub's orders, and two of the host's own."""

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


Order = (
    signalling.LeaseOrder
    | signalling.BeginOrder
    | signalling.FinishOrder
    | signalling.PauseOrder
    | signalling.ResumeOrder
    | signalling.Revoke
    | signalling.EstopOrder
    | signalling.ClearOrder
    | Recordable
    | Shutdown
)
