"""How a room's HTTP API says no: one JSON shape, with a code for programs and a sentence for people."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from teleop.hub.accounts import NotSignedInError


class ApiError(Exception):
    """An answer other than success: an HTTP status, a code, and what was expected, what came, what to do."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def install(app: FastAPI) -> None:
    """Make every error of `app` an `{"error": {"code", "message"}}`."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(NotSignedInError, _not_signed_in)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)


def answer(status: int, code: str, message: str) -> JSONResponse:
    """Return the error's response."""
    return JSONResponse({"error": {"code": code, "message": message}}, status)


async def _api_error(_request: Request, error: Exception) -> JSONResponse:
    status = error.status if isinstance(error, ApiError) else 500
    return answer(status, getattr(error, "code", "internal"), str(error))


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
