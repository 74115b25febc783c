"""Where the build leaves the page, and whether it is there: known without loading a web server."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "web" / "dist"
"""Where the build leaves the page; it is a part of the package."""
MISSING: Final = (
    "The page is not in this installation: it was installed from sources whose page was not built. "
    "Run `make setup` there, or `npm run -w armshare/web build`; the hub's API works without it."
)


def is_built() -> bool:
    """Whether there is a page to serve."""
    return (FOLDER / "index.html").is_file()
