"""Reviews over HTTP: who may review, what comes next, the answer, and what people made of an episode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Path, Request

from rewards.hub.reviews.answers import (
    KeptAnswer,
    NextAnswer,
    RefusedAnswer,
    ReviewBody,
    ReviewsAnswer,
    StandingAnswer,
)
from rewards.hub.reviews.asking import NotAReviewerError, NotAskedError, RefusedTooOftenError
from rewards.hub.reviews.store import Reviews, UnknownReviewError
from rewards.hub.reviews.voting import Answer, ReviewClockError, TooSoonError, UnseenError
from teleop.hub.errors import ApiError
from teleop.identity import SignatureError

Episode = Annotated[str, Path(max_length=64)]


def router(reviews: Reviews, signed_in: Callable[[Request], str]) -> APIRouter:
    """Return the routes of review; `signed_in` returns the wallet that asks, or raises ApiError 401."""
    routes = APIRouter()

    @routes.get("/api/reviews")
    def standing(request: Request) -> StandingAnswer:
        """Return whether the signed-in wallet is asked to review, and what is missing if it is not."""
        return reviews.standing(signed_in(request))

    @routes.get("/api/reviews/next")
    def following(request: Request) -> NextAnswer:
        """Return what the signed-in wallet is asked to review; it is kept for them for a while."""
        address = signed_in(request)
        with _errors():
            return reviews.next(address)

    @routes.post("/api/reviews/{episode}")
    def answer(request: Request, episode: Episode, said: ReviewBody) -> KeptAnswer:
        """Keep a reviewer's answer, and decide the episode if it is enough."""
        address = signed_in(request)
        seen = said.seen.model_dump()
        with _errors():
            reviews.answer(Answer(address, episode, said.passed, said.reason, seen, said.reviewed_ms, said.signature))
        return KeptAnswer(episode=episode)

    @routes.post("/api/reviews/{episode}/refuse")
    def refuse(request: Request, episode: Episode) -> RefusedAnswer:
        """Give a task back; it costs nothing, and does not come again."""
        address = signed_in(request)
        with _errors():
            return RefusedAnswer(refusals_left=reviews.refuse(address, episode))

    @routes.get("/api/episodes/{episode}/reviews")
    def shown(episode: Episode) -> ReviewsAnswer:
        """Return what people made of an episode: each signed judgement, once it is decided."""
        with _errors():
            return reviews.reviews(episode)

    return routes


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what a review is refused for into HTTP errors."""
    try:
        yield
    except NotAReviewerError as error:
        raise ApiError(403, "not_a_reviewer", str(error)) from error
    except RefusedTooOftenError as error:
        raise ApiError(429, "refused_too_often", str(error)) from error
    except NotAskedError as error:
        raise ApiError(409, "not_asked", str(error)) from error
    except TooSoonError as error:
        raise ApiError(425, "too_soon", str(error), again_s=math.ceil(error.again_s)) from error
    except UnseenError as error:
        raise ApiError(422, "unseen", str(error)) from error
    except ReviewClockError as error:
        raise ApiError(422, "clock", str(error)) from error
    except SignatureError as error:
        raise ApiError(422, "signature", str(error)) from error
    except UnknownReviewError as error:
        raise ApiError(404, "not_reviewed", str(error)) from error
