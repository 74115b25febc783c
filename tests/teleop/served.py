"""One application on a real socket, served as the hub is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from armshare.platform.processes import listen
from teleop.hub.server import serving


@contextmanager
def served(app: FastAPI) -> Iterator[int]:
    """Yield the port of this machine on which `app` answers."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(serving.config(app))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
