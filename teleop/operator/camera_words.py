"""What is told of a camera's pictures, in plain words and with the camera's name, as the page says it too."""

from __future__ import annotations

from typing import Any, Final

_LASTS: Final = {
    "lost": "The camera {camera} has stopped: its pictures are missing from {since} on.",
    "missing": "The camera {camera} is too slow: some of its pictures are missing from {since} on.",
    "frozen": "The camera {camera} is frozen: it has shown the same picture since {since}.",
    "black": "The camera {camera} is black: it has shown nothing since {since}.",
    "dropped": "The robot's computer is too slow for the camera {camera}: pictures are missing from {since} on.",
}
_OVER: Final = {
    "lost": "The camera {camera} had stopped: its pictures are missing {between}.",
    "missing": "The camera {camera} was too slow: some of its pictures are missing {between}.",
    "frozen": "The camera {camera} was frozen {between}.",
    "black": "The camera {camera} was black {between}.",
    "dropped": "The robot's computer was too slow for the camera {camera}: pictures are missing {between}.",
}


def words_of(message: dict[str, Any]) -> str:
    """Return a `camera_trouble` (PROTOCOL.md) in words."""
    camera = f"'{_plain(message['camera'])}'"
    since, times = _clock(message["from_s"]), int(message["times"])
    if message["until_s"] is None:
        said = _LASTS[message["trouble"]].format(camera=camera, since=since)
    else:
        until = _clock(message["until_s"])
        between = f"from {since} to {until}" if until != since else f"at {since}"
        said = _OVER[message["trouble"]].format(camera=camera, between=between)
    return said if times < 2 else f"{said} This has happened {times} times."


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def _plain(name: str) -> str:
    """Return a name that a stranger's host chose as text that does nothing to a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in name)
