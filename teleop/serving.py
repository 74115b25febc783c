"""How this project's FastAPI apps are served: uvicorn on uvloop, websockets without compression."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from teleop.frames import FRAME_MESSAGE_BYTES_MAX


def config(app: FastAPI) -> uvicorn.Config:
    """Return the server's configuration. It logs nothing of its own: the rooms log what matters.

    The largest message is a camera's frame; every socket that reads none allows less (`api.py`).
    """
    return uvicorn.Config(
        app,
        loop="uvloop",
        ws="websockets-sansio",
        ws_max_size=FRAME_MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,
        ws_ping_interval=5.0,
        ws_ping_timeout=5.0,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises OSError where the port is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(512)
    return listener
