"""Names in a row, the way one says them: `lift, push and reach`."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[str], last: str = "and") -> str:
    """Return names with commas between them, and `last` before the last one; `nothing` if there are none."""
    *before, end = list(names) or ["nothing"]
    return f"{', '.join(before)} {last} {end}" if before else end
