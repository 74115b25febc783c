"""The rewards room's door to the network: scores, operators, balances, payout roots, claims and settlement."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from recorder.hub.catalogue import Catalogue, UnknownEpisodeError
from recorder.hub.states import EpisodeState
from rewards.chain.payouts import NothingSettledError, Root, RootVoidError, UnknownRootError
from rewards.chain.vault import ChainError, ChainUnreachableError, NothingToClaimError, VaultRefusedError
from rewards.hub.pipeline import Pipeline, Verdict
from rewards.people.operators import NOT_QUALIFIED, PRACTICE
from rewards.people.qualification import NEEDS, Check, passed
from rewards.score.score import ONE_PPM, VERSION
from teleop.hub.errors import ApiError
from teleop.identity import SignatureError, require_address

WAIT_MAX_S: Final = 30.0
_COMING: Final = (EpisodeState.RECORDING, EpisodeState.SEALED, EpisodeState.UPLOADED, EpisodeState.VERIFIED)


class SignedIn(Protocol):
    """Who is asking; `teleop.hub.api.Driving.operator` is one."""

    def __call__(self, request: Request) -> str:
        """Return the signed-in wallet's checksummed address; raise ApiError 401."""


def router(pipeline: Pipeline, catalogue: Catalogue, signed_in: SignedIn, admin_token: str) -> APIRouter:
    """Return this room's routes. An empty `admin_token` lets nobody settle by hand."""
    routes = APIRouter()

    @routes.get("/api/episodes/{episode}/score")
    async def score(episode: str, wait_s: Annotated[float, Query(ge=0, le=WAIT_MAX_S)] = 0.0) -> dict[str, Any]:
        found = await pipeline.verdict(episode, wait_s)
        if found is None:
            raise await run_in_threadpool(_not_scored, catalogue, episode)
        return _verdict(found)

    @routes.get("/api/operators/{address}")
    async def operator(address: str) -> dict[str, Any]:
        _require_address(address)
        found = await pipeline.operator(address)
        return {
            "address": address,
            "qualified": found.qualified,
            "since_ms": found.since_ms,
            "episode": found.episode,
            "checks": [asdict(one) for one in found.checks],
            "shown": found.shown,
            "needs": NEEDS,
        }

    @routes.get("/api/balances/{address}")
    async def balances(address: str) -> dict[str, Any]:
        _require_address(address)
        with _chain_errors():
            found = await pipeline.statement(address)
        return {
            "address": address,
            "earned": str(found.earned_wei),
            "settled": str(found.settled_wei),
            "claimed": str(found.claimed_wei),
            "wallet": str(found.wallet_wei),
            "entries": [
                {"time_ms": one.time_ms, "episode": one.episode, "kind": one.kind, "amount": str(one.amount_wei)}
                for one in found.entries
            ],
        }

    @routes.get("/api/roots")
    async def roots() -> list[dict[str, Any]]:
        return [_root(root) for root in await pipeline.roots()]

    @routes.get("/api/roots/{root}")
    async def document(root: str) -> Response:
        try:
            return Response(await pipeline.document(root), media_type="application/json")
        except UnknownRootError as error:
            raise ApiError(404, "unknown_root", str(error)) from error

    @routes.post("/api/claim")
    async def claim(address: str = Depends(signed_in)) -> dict[str, Any]:
        with _chain_errors():
            paid = await pipeline.claim(address)
        return {
            "transaction": paid.transaction,
            "amount": str(paid.amount_wei),
            "claimed": str(paid.claimed_wei),
            "wallet": str(paid.wallet_wei),
        }

    @routes.post("/api/settle")
    async def settle(request: Request) -> dict[str, Any]:
        _require_admin(request, admin_token)
        with _chain_errors():
            root = await pipeline.settle()
        if root is None:
            raise ApiError(409, "nothing_earned", "expected somebody to have earned; nobody has, so there is no root")
        return _root(root)

    return routes


def _verdict(found: Verdict) -> dict[str, Any]:
    return {
        "episode": found.episode,
        "version": found.version,
        "score": found.score_ppm / ONE_PPM,
        "score_ppm": found.score_ppm,
        "accepted": found.accepted,
        "vector": dict(found.vector),
        "reasons": list(found.reasons),
        "price": str(found.price_wei),
        "pay": str(found.pay_wei),
        "paid": found.paid,
        "practice": None if found.practice is None else _practice(found.practice),
    }


def _practice(checks: tuple[Check, ...]) -> dict[str, Any]:
    return {
        "reason": NOT_QUALIFIED,
        "sentence": PRACTICE,
        "passed": passed(checks),
        "checks": [asdict(one) for one in checks],
    }


def _root(root: Root) -> dict[str, Any]:
    return {
        "root": root.root,
        "index": root.index,
        "total": str(root.total_wei),
        "payees": root.payees,
        "state": root.state,
        "transaction": root.transaction,
        "created_ms": root.created_ms,
    }


def _require_address(address: str) -> None:
    try:
        require_address(address)
    except SignatureError as error:
        raise ApiError(422, "address", str(error)) from error


def _not_scored(catalogue: Catalogue, episode: str) -> ApiError:
    try:
        state = catalogue.get(episode).state
    except UnknownEpisodeError as error:
        return ApiError(404, "unknown_episode", str(error))
    if state in _COMING:
        text = f"{episode} is {state} and has no score of version {VERSION} yet; a verified one gets it in seconds"
        return ApiError(404, "not_scored", text)
    return ApiError(404, "never_scored", f"{episode} is {state}: only verified episodes are scored")


def _require_admin(request: Request, admin_token: str) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(token.encode(), admin_token.encode())
    if not (admin_token and right and scheme.lower() == "bearer"):
        raise ApiError(401, "auth", "expected the platform's admin token as `Authorization: Bearer TOKEN`")


@contextmanager
def _chain_errors() -> Iterator[None]:
    """Say in HTTP why the chain did not do it."""
    try:
        yield
    except (NothingSettledError, NothingToClaimError) as error:
        raise ApiError(409, "nothing_to_claim", str(error)) from error
    except RootVoidError as error:
        raise ApiError(409, "root_void", str(error)) from error
    except ChainUnreachableError as error:
        raise ApiError(503, "chain_unreachable", f"{error}; try again later") from error
    except VaultRefusedError as error:
        raise ApiError(502, "vault_refused", str(error)) from error
    except ChainError as error:
        raise ApiError(502, "chain", str(error)) from error
