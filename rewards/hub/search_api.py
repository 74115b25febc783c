"""Searching over HTTP: `GET /api/episodes`, the values that there are to search for, and an episode's neighbours.

Searches have threads of their own and a waiting line with an end, so that no number of them keeps others waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request

from recorder.hub.catalogue import UnknownEpisodeError
from rewards.datasets.words import FILTERS, WORDS, FilterValueError, UnknownFilterError, Words
from rewards.hub.counting import Values
from rewards.hub.search import CursorError, FoundPage, Neighbours, Search
from teleop.hub.db import SlowQueryError
from teleop.hub.errors import ApiError

AT_ONCE: Final = 4
WAITING_MAX: Final = 64
T = TypeVar("T")
Seen = Callable[[Request, str], None]
"""Raises ApiError if whoever asks may not see which episodes a data set has. It may block."""


def parameters(names: tuple[str, ...] = tuple(WORDS)) -> dict[str, Any]:
    """Return what `/openapi.json` says of the words."""
    said = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": WORDS[name].schema,
            "description": WORDS[name].meaning,
        }
        for name in names
    ]
    return {"parameters": said}


def router(search: Search, seen: Seen = lambda _request, _name: None) -> APIRouter:
    """Return the routes. They come before the recorder's, which would take `words` for an episode."""
    routes, beside = APIRouter(), _Beside()

    def _let(request: Request, words: Words) -> Words:
        if words.dataset is not None:
            seen(request, str(words.dataset))
        return words

    @routes.get("/api/episodes", openapi_extra=parameters())
    async def episodes(request: Request) -> FoundPage:
        """Return a page of the episodes that the words find; without `order`, the newest first."""
        words = _words(request)
        return await beside.run(lambda: search.page(_let(request, words)))

    @routes.get("/api/episodes/words", openapi_extra=parameters(FILTERS))
    async def values(request: Request) -> Values:
        """Return what there is to search for: each word's values, and how many episodes have them, under the others."""
        words = _words(request, FILTERS)
        return await beside.run(lambda: search.values(_let(request, words)))

    @routes.get("/api/episodes/{episode}/neighbours")
    async def neighbours(episode: str) -> Neighbours:
        """Return the verified episodes beside one: in time, of its task and of its operator, and in motion."""
        return await beside.run(lambda: search.neighbours(episode))

    return routes


class _Beside:
    """Runs searches beside everything else, a few at a time."""

    def __init__(self) -> None:
        self._limiter: CapacityLimiter | None = None
        self._waiting = 0

    async def run(self, call: Callable[[], T]) -> T:
        """Run a search in a thread; raise ApiError for whatever is wrong with it."""
        self._limiter = self._limiter or CapacityLimiter(AT_ONCE)
        if self._waiting >= WAITING_MAX:
            raise ApiError(503, "search_busy", f"{WAITING_MAX} searches are waiting already; try again in a moment")
        self._waiting += 1
        try:
            return await run_sync(call, limiter=self._limiter)
        except FilterValueError as error:
            raise ApiError(422, "filter_value", str(error)) from error
        except CursorError as error:
            raise ApiError(422, "cursor", str(error)) from error
        except UnknownEpisodeError as error:
            raise ApiError(404, "unknown_episode", str(error)) from error
        except SlowQueryError as error:
            raise ApiError(503, "search_slow", f"the search was ended: {error}; search for less, or later") from error
        finally:
            self._waiting -= 1


def _words(request: Request, known: Collection[str] = ()) -> Words:
    try:
        return Words.of(request.query_params.multi_items(), known)
    except UnknownFilterError as error:
        raise ApiError(422, "unknown_filter", str(error)) from error
    except FilterValueError as error:
        raise ApiError(422, "filter_value", str(error)) from error
