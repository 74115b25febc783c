"""The application: the command line, the processes of a platform, its settings, its migrations and the page.

For Python there is `armshare.record(env, folder)`, which is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teleop.pairings import leave_until_used

if TYPE_CHECKING:
    from armshare.recording import record

__all__ = ["record"]
leave_until_used()


def __getattr__(name: str) -> Any:
    """Load what is asked for: an import of this package alone stays light."""
    if name == "record":
        from armshare.recording import record

        return record
    raise AttributeError(f"module 'armshare' has no attribute {name!r}")
