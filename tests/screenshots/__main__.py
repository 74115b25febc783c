"""`make screenshots` takes every picture, `ARGS=people` those of one set, `ARGS=people:queue,watch` some of them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armshare.cli.platform import SHOWN
from armshare.platform.processes import platform
from tests.browser import chromium
from tests.screenshots.captions import write_index
from tests.screenshots.data import data
from tests.screenshots.scenes import ADDED, about, added, explained, left, newcomer, paid, people, published, wallets
from tests.screenshots.studio import Studio

TARGET = Path(__file__).parents[2] / "docs" / "screenshots"


@dataclass(frozen=True, slots=True)
class Set:
    """Some of the pictures: who takes them, on what platform."""

    take: Callable[[Studio], None]
    robots: tuple[str, ...] = SHOWN
    first_drive: bool = False
    before: Callable[[Path], None] = lambda _data: None


SETS: Final = {
    "newcomer": Set(newcomer, robots=("panda",), first_drive=True),
    "paid": Set(paid),
    "explained": Set(explained, robots=("panda",)),
    "people": Set(people),
    "wallets": Set(wallets),
    "left": Set(left, robots=("panda",)),
    "about": Set(about, robots=("panda", "husky")),
    "data": Set(data, robots=("panda",)),
    "added": Set(added, robots=(f"{ADDED}:lift",), before=published),
}


def main(wanted: Sequence[str]) -> None:
    """Take these sets of pictures, or those of them that are named, each set on a platform of its own."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, _, only in (each.partition(":") for each in wanted):
        one = SETS[name]
        os.environ["ARMSHARE_QUALIFICATION"] = str(one.first_drive).lower()
        os.environ.pop("ARMSHARE_AWAY_S", None)  # a drive that is left is kept for a minute
        with tempfile.TemporaryDirectory(prefix="armshare-screenshots-") as folder:
            kept = Path(folder)
            one.before(kept)
            with (
                (kept / "log").open("wb") as log,
                platform(kept, 0, [*one.robots], log) as (url, _children),
                chromium() as browser,
            ):
                one.take(Studio(browser, url, kept, TARGET, frozenset(only.split(",")) if only else frozenset()))
    write_index(TARGET)


if __name__ == "__main__":
    main(sys.argv[1:] or list(SETS))
