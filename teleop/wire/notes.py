"""What an operator says while driving, in words: how long a note may be, how many there are, and what is left out."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final

from msgspec import Meta

NOTE_CHARACTERS_MAX: Final = 280
NOTES_MAX: Final = 100
"""How many an episode keeps."""
NOTE_EVERY_MS: Final = 1000
"""The shortest time between two."""
NoteText = Annotated[str, Meta(min_length=1, max_length=NOTE_CHARACTERS_MAX)]
_LEFT_OUT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, of half characters, and of line and paragraph separators."""
_TURNS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the direction of what follows, so that a text reads as another one."""


def cleaned(text: str) -> str:
    """Return a note on one line, without what a terminal or a page would obey; empty if nothing is left."""
    kept = (" " if letter in _TURNS or unicodedata.category(letter) in _LEFT_OUT else letter for letter in text)
    return " ".join("".join(kept).split())[:NOTE_CHARACTERS_MAX]
