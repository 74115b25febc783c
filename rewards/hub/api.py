"""The rewards over HTTP: scores, operators, balances, payout roots, claims and settlement."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from recorder.file.episode import FileMissingError
from recorder.hub.catalogue import Catalogue, UnknownEpisodeError
from recorder.hub.ranges import NOT_KEPT
from recorder.hub.readers import Readers, What, asking
from recorder.hub.states import EpisodeState
from recorder.hub.store import UnknownFileError
from recorder.proof.bundle import SCORE_FILE
from rewards.chain.payouts import NothingSettledError, RootVoidError, UnknownRootError, WrongVaultError
from rewards.chain.vault import ChainError, ChainUnreachableError, NothingToClaimError, VaultRefusedError
from rewards.hub.answers import (
    BalanceAnswer,
    BestAnswer,
    ClaimAnswer,
    OperatorAnswer,
    RescoringAnswer,
    RescoringAsked,
    RootAnswer,
    ScoreAnswer,
)
from rewards.hub.pipeline import BestBusyError, Pipeline
from rewards.hub.scoring import LOST
from rewards.hub.starts import Known
from rewards.hub.verdicts import Unscored
from rewards.score.kept import encoded
from rewards.score.starts import LIKE_M
from rewards.score.versions import UnknownRulesError
from teleop.hub.errors import ApiError
from teleop.identity import SignatureError, require_address

WAIT_MAX_S: Final = 30.0
_AGAIN_S: Final = 5
"""When to ask again for what cannot be read at the moment."""
_UNKNOWN: Final = {
    Known.NOT_WHERE: "its robot observes none of the task's things",
    Known.UNREADABLE: "its file cannot be read on this hub",
}
"""Why nobody knows how an episode began."""
_DOCUMENT: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/json": {}}}}
_COMING: Final = (
    EpisodeState.RECORDING,
    EpisodeState.SEALED,
    EpisodeState.UPLOADED,
    EpisodeState.HELD,
    EpisodeState.VERIFIED,
)


class SignedIn(Protocol):
    """Who is asking; `teleop.hub.driving.Driving.operator` is one."""

    def __call__(self, request: Request) -> str:
        """Return the signed-in wallet's checksummed address; raise ApiError 401."""


class _Routes:
    """The routes, each a method of its own."""

    def __init__(
        self, pipeline: Pipeline, catalogue: Catalogue, signed_in: SignedIn, admin_token: str, readers: Readers | None
    ) -> None:
        self._pipeline, self._catalogue, self._readers = pipeline, catalogue, readers
        self._signed_in, self._admin_token = signed_in, admin_token

    async def score(
        self, request: Request, episode: str, wait_s: Annotated[float, Query(ge=0, le=WAIT_MAX_S)] = 0.0
    ) -> ScoreAnswer:
        """Return an episode's score, once it has one; of a private one, strangers get the number and the pay alone."""
        found = await self._pipeline.verdict(episode, wait_s)
        if found is None:
            raise await self._not_scored(episode)
        said = ScoreAnswer.of(found)
        if self._readers is None:
            return said
        asker = asking(self._signed_in, request)
        return said if await run_in_threadpool(self._readers.reads, episode, asker) else said.withholding()

    async def score_file(self, request: Request, episode: str) -> Response:
        """Return an episode's score as the file that lies beside it in a bundle; nobody signs it."""
        private = await self._let(request, episode)
        found = await self._pipeline.verdict(episode)
        if found is None:
            raise await self._not_scored(episode)
        named = {"Content-Disposition": f'attachment; filename="{episode}-{SCORE_FILE}"'}
        if private:
            named["Cache-Control"] = NOT_KEPT
        return Response(encoded(found.scored), media_type="application/json", headers=named)

    async def best(self, request: Request, episode: str) -> BestAnswer:
        """Return the best accepted drive of the same task and robot model from a like start, to learn from."""
        await self._let(request, episode)
        try:
            found = await self._pipeline.best(episode)
        except LOST as error:
            said = f"how {episode} began cannot be read now; try again later"
            raise ApiError(503, "best_unread", said, again_s=_AGAIN_S) from error
        except BestBusyError as error:
            raise ApiError(503, "best_busy", str(error), again_s=_AGAIN_S) from error
        except (UnknownFileError, FileMissingError) as error:
            raise _start_unknown(episode, "this hub does not have its file any more") from error
        if found is None:
            raise await self._no_best(episode)
        view = await run_in_threadpool(self._catalogue.get, found.episode)
        return BestAnswer.of(found, view.driver)

    async def rescore(self, request: Request, asked: RescoringAsked) -> RescoringAnswer:
        """Score every verified episode by a version of the rules, beside its scores. For the platform's operator."""
        _require_admin(request, self._admin_token)
        try:
            return RescoringAnswer.of(await self._pipeline.rescore(asked.rules, asked.task or None))
        except UnknownRulesError as error:
            raise ApiError(422, "unknown_rules", str(error)) from error

    async def rescorings(self, request: Request) -> list[RescoringAnswer]:
        """Return the newest of these jobs, newest first. For the platform's operator (admin token)."""
        _require_admin(request, self._admin_token)
        return [RescoringAnswer.of(job) for job in await self._pipeline.rescorings()]

    async def _let(self, request: Request, episode: str) -> bool:
        """Let whoever asks know how an episode went; return whether it is private. Raises ApiError."""
        if self._readers is None:
            return False
        return await run_in_threadpool(self._readers.let, episode, asking(self._signed_in, request), What.SCORE)

    async def _no_best(self, episode: str) -> ApiError:
        known = await self._pipeline.known(episode)
        if known is Known.NOT_YET:  # it has no score: else its start would have been read
            return await self._not_scored(episode)
        if known is Known.WHERE:
            near = f"within {100 * LIKE_M:.0f} cm of how {episode} began"
            return ApiError(404, "no_best", f"no other accepted drive of this task with this robot model began {near}")
        return _start_unknown(episode, _UNKNOWN[known])

    async def _not_scored(self, episode: str) -> ApiError:
        kept_back = await self._pipeline.unscored(episode)
        return await run_in_threadpool(_not_scored, self._catalogue, episode, kept_back)

    async def operator(self, address: str) -> OperatorAnswer:
        """Return whether a wallet's accepted episodes are paid."""
        _require_address(address)
        return OperatorAnswer.of(address, await self._pipeline.operator(address))

    async def balance(self, address: str) -> BalanceAnswer:
        """Return what a wallet has earned; `claimed` and `wallet` are read from the chain."""
        _require_address(address)
        with _chain_errors():
            return BalanceAnswer.of(address, await self._pipeline.statement(address))

    async def roots(self) -> list[RootAnswer]:
        """Return every payout root, newest first."""
        return [RootAnswer.of(root) for root in await self._pipeline.roots()]

    async def document(self, root: str) -> Response:
        """Return the published JSON that rebuilds a root, byte for byte."""
        try:
            return Response(await self._pipeline.document(root), media_type="application/json")
        except UnknownRootError as error:
            raise ApiError(404, "unknown_root", str(error)) from error

    async def claim(self, request: Request) -> ClaimAnswer:
        """Pay a signed-in wallet what it can claim; the hub pays the gas, and the vault pays only the claimant."""
        address = await run_in_threadpool(self._signed_in, request)
        with _chain_errors():
            return ClaimAnswer.of(await self._pipeline.claim(address))

    async def settle(self, request: Request) -> RootAnswer:
        """Settle what has been earned under a new root. For the platform's operator (admin token)."""
        _require_admin(request, self._admin_token)
        with _chain_errors():
            root = await self._pipeline.settle()
        if root is None:
            raise ApiError(
                409, "nothing_earned", "nobody has earned anything since the last root, so there is nothing to settle"
            )
        return RootAnswer.of(root)


def router(
    pipeline: Pipeline,
    catalogue: Catalogue,
    signed_in: SignedIn,
    admin_token: str,
    readers: Readers | None = None,
) -> APIRouter:
    """Return the rewards routes. With an empty `admin_token`, nobody can settle by hand.

    They come before the recorder's, whose `/files/{name}` knows only what it has itself.
    """
    made, routes = _Routes(pipeline, catalogue, signed_in, admin_token, readers), APIRouter()
    routes.get("/api/episodes/{episode}/score")(made.score)
    routes.get(f"/api/episodes/{{episode}}/files/{SCORE_FILE}", response_class=Response, responses=_DOCUMENT)(
        made.score_file
    )
    routes.head(f"/api/episodes/{{episode}}/files/{SCORE_FILE}", response_class=Response)(made.score_file)
    routes.get("/api/operators/{address}")(made.operator)
    routes.get("/api/balances/{address}")(made.balance)
    routes.get("/api/roots")(made.roots)
    routes.get("/api/roots/{root}", response_class=Response, responses=_DOCUMENT)(made.document)
    routes.get("/api/episodes/{episode}/best")(made.best)
    routes.post("/api/claim")(made.claim)
    routes.post("/api/settle")(made.settle)
    routes.post("/api/rescore", status_code=202)(made.rescore)
    routes.get("/api/rescore")(made.rescorings)
    return routes


def _require_address(address: str) -> None:
    try:
        require_address(address)
    except SignatureError as error:
        raise ApiError(422, "address", str(error)) from error


def _not_scored(catalogue: Catalogue, episode: str, kept_back: Unscored | None) -> ApiError:
    try:
        state = catalogue.get(episode).state
    except UnknownEpisodeError as error:
        return ApiError(404, "unknown_episode", str(error))
    if state is EpisodeState.VERIFIED and kept_back is not None:
        times = "once" if kept_back.tries == 1 else f"{kept_back.tries} times"
        again = f"tried {times}, and again by itself, {_day(kept_back.next_ms)} at the latest"
        return ApiError(404, "not_scored", f"{episode} could not be scored yet ({kept_back.reason}); {again}")
    if state in _COMING:
        text = f"{episode} is {state} and has no score yet; a verified one gets it in seconds"
        return ApiError(404, "not_scored", text)
    return ApiError(404, "never_scored", f"{episode} is {state}: only verified episodes are scored")


def _start_unknown(episode: str, why: str) -> ApiError:
    return ApiError(404, "start_unknown", f"nobody knows how {episode} began: {why}")


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _require_admin(request: Request, admin_token: str) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(token.encode(), admin_token.encode())
    if not (admin_token and right and scheme.lower() == "bearer"):
        raise ApiError(
            401,
            "auth",
            "this needs the hub's admin token (keys/admin.token in its data) as `Authorization: Bearer TOKEN`",
        )


@contextmanager
def _chain_errors() -> Iterator[None]:
    """Turn the chain's errors into HTTP errors."""
    try:
        yield
    except (NothingSettledError, NothingToClaimError) as error:
        raise ApiError(409, "nothing_to_claim", str(error)) from error
    except RootVoidError as error:
        raise ApiError(409, "root_void", str(error)) from error
    except WrongVaultError as error:
        raise ApiError(502, "wrong_vault", str(error)) from error
    except ChainUnreachableError as error:
        raise ApiError(503, "chain_unreachable", f"{error}; try again later") from error
    except VaultRefusedError as error:
        raise ApiError(502, "vault_refused", str(error)) from error
    except ChainError as error:
        raise ApiError(502, "chain", str(error)) from error
