"""The commands that our pages tell people to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_OURS: Final = ("armshare", "make", "python")
_OTHERS: Final = ("pip", "curl", "npm", "npx", "git", "cd", "rsync", "uv", "nginx", "caddy")
_LINE: Final = re.compile(rf"^    ((?:[A-Z_]+=\S+ )*(?:time )?(?:{'|'.join((*_OURS, *_OTHERS))}) .*|\. \S+)$")
_INLINE: Final = re.compile(r"`((?:armshare|make) [a-z-][^`]*)`")


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a page has it, without the comment behind it."""

    page: str
    text: str
    named: bool = False
    """Whether it stands within a sentence, which need not give all that it requires."""

    @property
    def words(self) -> list[str]:
        """The program and its arguments."""
        words = shlex.split(self.text)
        return words[next(at for at, word in enumerate(words) if "=" not in word and word != "time") :]

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def pages() -> list[Path]:
    """Return every page that people read."""
    folders = (".", "docs", "docs/tutorials", "docs/evidence", "teleop", "recorder", "rewards/chain/contracts")
    return [page for folder in folders for page in sorted((ROOT / folder).glob("*.md")) if page.name != "CHANGELOG.md"]


def commands() -> Iterator[Command]:
    """Yield each command that stands on a line of its own, indented, or between backquotes."""
    for page in pages():
        where = str(page.relative_to(ROOT))
        for line in page.read_text().splitlines():
            if found := _LINE.match(line):
                yield Command(where, re.sub(r"\s+#.*$", "", found[1]))
            else:
                yield from (Command(where, text, named=True) for text in _INLINE.findall(line))


def shell_lines(page: str) -> list[str]:
    """Return the lines of a page that are typed into a shell, in order."""
    lines = (ROOT / page).read_text().splitlines()
    return [re.sub(r"\s+#.*$", "", found[1]) for line in lines if (found := _LINE.match(line))]
