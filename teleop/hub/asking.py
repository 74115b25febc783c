"""Questions to the hub's database: asked outside the event loop, and answered, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, ParamSpec, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from teleop.hub import full
from teleop.hub.store import NotHomeError
from teleop.wire.signalling import SignallingError

_log = structlog.get_logger()
_P = ParamSpec("_P")
_T = TypeVar("_T")
Ask = Callable[..., Awaitable[Any]]
"""Calls what may wait for the database, outside the event loop: `asyncio.to_thread`."""
UNAVAILABLE: Final = "the hub's database did not answer, so nothing was changed; try again in a few seconds"


async def asked(ask: Ask, call: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Return the database's answer; raise SignallingError, which says what to do, if none comes."""
    try:
        answer: _T = await ask(call, *arguments, **named)
    except NotHomeError as error:
        raise unavailable(error) from error
    except SQLAlchemyError as error:
        _log.warning("the database did not answer", error=str(error))
        raise unavailable(error) from error
    return answer


def unavailable(error: Exception) -> SignallingError:
    """Return what is told of something that could not be stored."""
    if isinstance(error, NotHomeError):
        return SignallingError("unavailable", str(error))
    if full.is_full(error):
        return SignallingError("hub_full", full.FULL)
    return SignallingError("unavailable", UNAVAILABLE)
