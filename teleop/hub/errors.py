"""How the HTTP API refuses a request: one JSON shape, with a code for programs and a sentence for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from teleop.hub import away, full
from teleop.hub.accounts import NotSignedInError
from teleop.hub.asking import UNAVAILABLE

_log = structlog.get_logger()
CODE: Final = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
"""How a code is written."""


class Refusal(BaseModel):
    """What went wrong."""

    code: str = Field(pattern=f"^{CODE}$", description="For programs; docs/http.md lists them.")
    message: str = Field(description="For people: what was expected, what came, what to do.")
    gate: str | None = Field(None, description="With the code `refused`: the gate of recorder/FORMAT.md.")


class ErrorAnswer(BaseModel):
    """Every answer other than a success."""

    error: Refusal


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": ErrorAnswer, "description": "Refused"},
    "5XX": {"model": ErrorAnswer, "description": "Not able to"},
    422: {"model": ErrorAnswer, "description": "Not a request that this route can take"},
}
"""What each route answers besides its success, for `/openapi.json`."""


class ApiError(Exception):
    """An answer other than success: an HTTP status, a code, and what was expected, what came, what to do.

    `again_s`: after how many seconds to ask again, if that may help.
    """

    def __init__(self, status: int, code: str, message: str, *, again_s: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.again_s = status, code, again_s


def install(app: FastAPI) -> None:
    """Make every error of `app` an `ErrorAnswer`."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(NotSignedInError, _not_signed_in)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(OSError, _full)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(PoolTimeoutError, _database)
    app.add_exception_handler(Exception, _internal)
    app.router.responses.update(RESPONSES)


def answer(status: int, code: str, message: str, gate: str | None = None, again_s: int | None = None) -> JSONResponse:
    """Return the error's response; `again_s` is its `Retry-After`."""
    said = {"code": code, "message": message}
    headers = None if again_s is None else {"Retry-After": str(again_s)}
    return JSONResponse({"error": said if gate is None else {**said, "gate": gate}}, status, headers)


def code_of(kind: type[Exception]) -> str:
    """Return the code of an error that is answered by its class's name: `UnknownFileError` is `unknown_file`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).lower()


class Said(NamedTuple):
    """How a kind of error is answered that is not answered by its class's name and in its own words."""

    status: int
    code: str
    words: str = "{}"
    """With the error's own in it."""


Statuses = Mapping[type[Exception], int | Said]
"""With what each kind of error is answered; of several that fit, the first counts."""


def refusal_of(table: Statuses, error: Exception) -> Said:
    """Return how an error is answered that is in the table, or whose parent is."""
    said = next(said for kind, said in table.items() if isinstance(error, kind))
    made = said if isinstance(said, Said) else Said(said, code_of(type(error)))
    return made._replace(words=made.words.format(error))


@contextmanager
def refusing(table: Statuses) -> Iterator[None]:
    """Turn the errors that are in the table into ApiErrors, and leave all others."""
    try:
        yield
    except tuple(table) as error:
        said = refusal_of(table, error)
        raise ApiError(said.status, said.code, said.words) from error


async def _api_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ApiError):
        return await _internal(_request, error)
    return answer(error.status, error.code, str(error), again_s=error.again_s)


async def _not_signed_in(_request: Request, error: Exception) -> JSONResponse:
    return answer(401, "auth", str(error))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    return answer(status, f"http_{status}", f"{request.method} {request.url.path}: {detail}; see /openapi.json")


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    said = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in found)
    return answer(422, "invalid", f"expected what /openapi.json says: {said}")


async def _full(_request: Request, error: Exception) -> JSONResponse:
    """Answer if a disk is full; any other error of our own goes on, to be logged and answered by `_internal`."""
    if not full.is_full(error):
        raise error
    _log.error("the hub's disk is full", error=str(error))
    return answer(507, "hub_full", full.FULL)


async def _database(request: Request, error: Exception) -> JSONResponse:
    """Answer if the database is away; any other error of its goes on."""
    if not away.is_away(error):
        return await _full(request, error)
    _log.warning("the database did not answer", error=str(error))
    return answer(503, "unavailable", UNAVAILABLE)


async def _internal(_request: Request, _error: Exception) -> JSONResponse:
    """Answer an error of our own; the server logs it."""
    return answer(500, "internal", "the hub failed to answer; it has logged what went wrong, try again later")
