"""The page's files as its build left them: encoded once (`web/compress.js`), below `static/` named by their content.

A browser that asks for any other path is sent to the page, which says what that address leads to. What belongs to a
program (`/api`, `/ws`, `/assets`, `/static`) keeps its own errors.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope

from armshare.platform.built import MISSING
from teleop.hub.server import encoded

FOREVER: Final = "public, max-age=31536000, immutable"
"""For a file whose name changes with its content."""
ASK: Final = "no-cache"
"""For the others: a browser keeps them, and asks each time whether they have changed."""
TEXTS: Final = frozenset({".md", ".sol"})
"""What a person reads in the browser, which would save it under its own type."""
NO_PAGES: Final = frozenset({"api", "ws", "assets", "static"})
"""The first parts of paths that lead to no page."""


async def no_page(_request: Request) -> Response:
    """Answer for a page that is missing: what to do, in a sentence."""
    return PlainTextResponse(MISSING, 503)


class Page(StaticFiles):
    """Serves the folder of a built page."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True)
        self._named = folder.resolve() / "static"

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, or for somebody who looks for a page, the way to the one that says what is there."""
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or not _for_a_person(scope, path):
                raise
            to = f"{scope.get('root_path', '')}/#/{quote(path, errors='replace')}"
            return RedirectResponse(to, 302, {"Cache-Control": ASK, "Vary": "Accept"})

    def file_response(
        self,
        full_path: PathLike,
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return the file, encoded if there is such a file and the client takes it."""
        path = Path(full_path)
        if path.suffix in encoded.SUFFIXES.values():
            raise HTTPException(404)  # reached as an encoding of its original
        keep = FOREVER if path.is_relative_to(self._named) else ASK
        response = encoded.answer(path, encoded.beside(path), Headers(scope=scope), {"Cache-Control": keep})
        if path.suffix in TEXTS and "content-type" in response.headers:
            response.headers["Content-Type"] = "text/plain; charset=utf-8"
        return response


def _for_a_person(scope: Scope, path: str) -> bool:
    """Whether a browser shows what it gets."""
    return "text/html" in Headers(scope=scope).get("accept", "") and path.partition("/")[0] not in NO_PAGES
