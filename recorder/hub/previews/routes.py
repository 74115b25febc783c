"""The route of the previews."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from starlette.staticfiles import NotModifiedResponse

from recorder.hub.previews.line import Previews
from recorder.hub.previews.making import Stored
from recorder.hub.ranges import NOT_KEPT

KEEP: Final = "private, max-age=86400"
"""For a day: an operator may take an episode back, and a picture that others keep cannot be."""
_TYPES: Final = {False: "video/mp4", True: "image/webp"}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _TYPES.values()}},
    304: {"description": "Whoever asks has it"},
}

Shown = Callable[[Request, str], tuple[str, Path | Stored, bool]]
"""Return the digest and the file of an episode whose pictures whoever asks may see, and whether it is private; raise
why they may not. It may block."""


def add_previews(router: APIRouter, previews: Previews, shown: Shown) -> None:
    """Add the route to a router that answers the recorder's errors."""

    async def preview(
        episode: str,
        request: Request,
        camera: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
        still: bool = False,
        full: bool = False,
    ) -> Response:
        """Return a verified episode as a film of one camera, without sound: short, or in full; or as one picture."""
        digest, file, private = await run_in_threadpool(shown, request, episode)
        film, picture = await previews.of(episode, digest, file, camera, full=full and not still)
        return _answer(picture if still else film, _TYPES[still], request, NOT_KEPT if private else KEEP)

    for method in (router.get, router.head):
        path = "/api/episodes/{episode}/preview"
        method(path, response_class=FileResponse, responses=_ANSWERS, operation_id=f"preview_{method.__name__}")(
            preview
        )


def _answer(path: Path, kind: str, request: Request, keep: str) -> Response:
    response = FileResponse(path, media_type=kind, headers={"Cache-Control": keep}, stat_result=path.stat())
    tags = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    return NotModifiedResponse(response.headers) if response.headers["etag"] in tags else response
