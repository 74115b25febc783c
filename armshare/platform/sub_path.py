"""A hub below a path of its site, as at https://example.org/arms: the same routes, stripped of it by a proxy or not."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class SubPath:
    """ASGI middleware: serves `/arms/api/config` as `/api/config`, and leaves what comes without the path as it is."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        """`path` begins with a slash and does not end with one, such as `/arms`."""
        self._app, self._path = app, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or websocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked: str = scope["path"]
        if asked == self._path and scope["type"] == "http":  # the page's own addresses are relative to a folder
            await RedirectResponse(self._path + "/")(scope, receive, send)
            return
        inner = {**scope, "root_path": self._path}
        if asked.startswith(self._path + "/"):
            inner["path"] = asked.removeprefix(self._path)
            inner["raw_path"] = scope.get("raw_path", asked.encode()).removeprefix(self._path.encode())
        await self._app(inner, receive, send)
