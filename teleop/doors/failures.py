"""Which errors a person can act on: the command line says them in one line instead of a traceback."""

from __future__ import annotations

import json
from typing import Final

import httpx

from recorder.episode import EpisodeError
from recorder.refusals import GateError
from rewards.vault import ChainError
from sim.robot import RobotError
from teleop.client import RefusedError
from teleop.doors.demo import StageError
from teleop.doors.host import NotOnlineError
from teleop.doors.processes import PlatformError

_ACTIONABLE: Final = (
    ChainError,
    EpisodeError,
    FileNotFoundError,
    GateError,
    NotOnlineError,
    PlatformError,
    RefusedError,
    RobotError,
    StageError,
    httpx.HTTPError,
    json.JSONDecodeError,
)


def actionable(error: Exception) -> list[Exception]:
    """Return the errors in `error` that a person can act on; none where any other is among them."""
    if isinstance(error, ExceptionGroup):
        found = [actionable(one) for one in error.exceptions]
        return [one for part in found for one in part] if all(found) else []
    return [error] if isinstance(error, _ACTIONABLE) else []
