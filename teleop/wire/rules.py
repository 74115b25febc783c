"""Which scoring rules an episode is scored by: a name that the hub gives when it begins, and its file keeps.

What the rules say is not known here (docs/scoring.md).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

RulesVersion = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,15}$(?!\n)", min_length=1, max_length=16)]
"""Python's `$` also matches before a last newline."""
