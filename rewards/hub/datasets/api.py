"""Data sets over HTTP, under `/api/sets`, and the end of an operator's consent. Anyone may read; changes are signed in.

What a data set or an episode is called comes from strangers: nothing of it is a path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Scope

from recorder.hub.catalogue import UnknownEpisodeError
from recorder.hub.ranges import NOT_KEPT
from recorder.hub.readers import Asker, asking
from recorder.hub.records import NotTheOperatorError
from recorder.hub.states import EpisodeStateError
from rewards.datasets.card import CARD
from rewards.datasets.splits import SharesError, shares_of
from rewards.datasets.words import FilterValueError, UnknownFilterError
from rewards.hub.datasets import refusals
from rewards.hub.datasets.answers import (
    AppendAsked,
    ConsentAsked,
    CreateAsked,
    DescribeAsked,
    EpisodesAsked,
    MergeAsked,
    SetAnswer,
    SetReadersAnswer,
    SetReadersAsked,
    ShelfAnswer,
    WithdrawAsked,
    WithdrawnAnswer,
)
from rewards.hub.datasets.changes import Changes, Chosen
from rewards.hub.datasets.consent import Consent
from rewards.hub.datasets.reading import SetReaders, require_seen, sees
from rewards.hub.datasets.sets import PAGE_MAX, InSetPage, Sets, card_of
from rewards.hub.datasets.shelf import At, Shelf, at, contents, counts, shelf, versions
from rewards.hub.datasets.texts import described
from rewards.hub.datasets.withdrawn import WithdrawnPage, withdrawn
from rewards.hub.search import CursorError
from teleop.hub import errors
from teleop.hub.db import Database, SlowQueryError
from teleop.hub.server.bodies import BytesMax
from teleop.identity import SignatureError, require_address

BODY_BYTES_MAX: Final = 512 << 10
"""Of a request that names episodes."""
_NAMES: Final = re.compile(r"/api/sets(/[^/]+/[^/]+/(append|withdraw))?")
_DOCUMENT: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/json": {}}}}
_KEPT: Final = "public, max-age=31536000, immutable"
"""A version does not change."""
_Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
_Number = Annotated[int, Query(ge=1, le=2**31 - 1)]
Released = Callable[[Sequence[str]], Mapping[str, int]]
"""Returns when versions were released, by their digests; those that were not are left out."""


class SignedIn(Protocol):
    """Who is asking; `teleop.hub.driving.Driving.operator` is one."""

    def __call__(self, request: Request) -> str:
        """Return the signed-in wallet's checksummed address; raise NotSignedInError."""


def nothing_released(_digests: Sequence[str]) -> Mapping[str, int]:
    """Return that none of them is."""
    return {}


class _Routes:
    """The routes, each a method of its own. They block, so each runs in a thread."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        consent: Consent,
        signed_in: SignedIn,
        made: Callable[[], None],
        released: Released,
        readers: SetReaders | None,
    ) -> None:
        self._database, self._changes, self._consent = database, changes, consent
        self._signed_in, self._made, self._released = signed_in, made, released
        self._sets, self._readers = Sets(database), readers

    def shelf(
        self,
        query: Annotated[str, Query(max_length=200)] = "",
        task: Annotated[str, Query(max_length=64)] = "",
        episode: Annotated[str, Query(max_length=64)] = "",
        limit: _Limit = 50,
        after: Annotated[str | None, Query(max_length=64)] = None,
    ) -> ShelfAnswer:
        """Return data sets in their newest versions, newest first: of these words, of a task, with an episode."""
        with refusing(), self._database() as db:
            return self._answers(shelf(db, query=query, task=task, episode=episode, limit=limit, after=after))

    def newest(self, request: Request, ns: str, name: str) -> SetAnswer:
        """Return the newest version of a data set."""
        with refusing():
            return self._answer(f"{ns}/{name}", asking(self._signed_in, request))

    def version(self, request: Request, ns: str, name: str, n: int) -> SetAnswer:
        """Return one version of a data set."""
        with refusing():
            return self._answer(_at(ns, name, n), asking(self._signed_in, request))

    def versions(self, ns: str, name: str, limit: _Limit = 50, after: _Number | None = None) -> ShelfAnswer:
        """Return the versions of a data set, the newest first; `after`: those before that one."""
        with refusing(), self._database() as db:
            return self._answers(versions(db, at(db, f"{ns}/{name}").dataset, limit, after))

    def document(self, request: Request, ns: str, name: str, n: int) -> Response:
        """Return a version's canonical bytes, whose SHA-256 is its digest; of a private one, to its readers."""
        with refusing():
            private = self._require_seen(request, _at(ns, name, n))
            data = b"".join(self._sets.document(_at(ns, name, n)))
        return Response(data, media_type="application/json", headers={"Cache-Control": NOT_KEPT if private else _KEPT})

    def episodes(
        self,
        request: Request,
        ns: str,
        name: str,
        n: int,
        limit: _Limit = 50,
        after: Annotated[int, Query(ge=-1, le=2**31 - 1)] = -1,
    ) -> InSetPage:
        """Return a version's episodes, in its order: what a search shows of each, and its split."""
        with refusing():
            self._require_seen(request, _at(ns, name, n))
            return self._sets.page(_at(ns, name, n), limit, after)

    def create(self, request: Request, asked: CreateAsked) -> SetAnswer:
        """Make a data set: its first version."""
        owner = self._signed_in(request)
        with refusing():
            said = described(asked.title, asked.description, asked.licence)
            shares = shares_of(asked.splits.train, asked.splits.validation, asked.splits.test)
            return self._new(self._changes.create(owner, asked.name, said, _chosen(asked), shares), owner)

    def append(self, request: Request, ns: str, name: str, asked: AppendAsked) -> SetAnswer:
        """Make a version with more episodes, as the owner."""
        owner = self._signed_in(request)
        with refusing():
            return self._new(self._changes.append(owner, f"{ns}/{name}", _chosen(asked), asked.reason), owner)

    def withdraw(self, request: Request, ns: str, name: str, asked: WithdrawAsked) -> SetAnswer:
        """Make a version without some episodes, as the owner."""
        owner = self._signed_in(request)
        with refusing():
            return self._new(self._changes.withdraw(owner, f"{ns}/{name}", asked.episodes, asked.reason), owner)

    def merge(self, request: Request, ns: str, name: str, asked: MergeAsked) -> SetAnswer:
        """Make a version with the episodes of another data set too, as the owner."""
        owner = self._signed_in(request)
        with refusing():
            named = f"{ns}/{name}"
            made = self._changes.merge(owner, named, asked.other, asked.reason, practice=asked.practice)
            return self._new(made, owner)

    def describe(self, request: Request, ns: str, name: str, asked: DescribeAsked) -> SetAnswer:
        """Make a version with another title, description or licence, as the owner."""
        owner = self._signed_in(request)
        with refusing():
            return self._new(self._changes.describe(owner, f"{ns}/{name}", **asked.model_dump()), owner)

    def end_consent(self, request: Request, episode: str, asked: ConsentAsked) -> WithdrawnAnswer:
        """End consent to an episode, as its operator: no search finds it, and no new version of a data set has it."""
        operator = self._signed_in(request)
        with refusing():
            found, made = self._consent.withdraw(episode, operator, asked.reason)
        self._made()
        return WithdrawnAnswer.of(found, made)

    def withdrawn(
        self,
        request: Request,
        address: str,
        limit: _Limit = 50,
        after: Annotated[str | None, Query(max_length=120)] = None,
    ) -> WithdrawnPage:
        """Return the episodes that an operator has withdrawn, the last one first; only to that operator."""
        operator = self._signed_in(request)
        with refusing(), self._database() as db:
            if operator != address:
                raise NotTheOperatorError(f"expected {operator}, who is signed in, got {address[:80]!r}")
            return withdrawn(db, operator, limit, after)

    def readers(self, request: Request, ns: str, name: str) -> SetReadersAnswer:
        """Return who may read a data set, to its owner and to them."""
        wallet = self._signed_in(request)
        with refusing():
            named, readers = self._require_readers().of(f"{ns}/{name}", wallet)
        return SetReadersAnswer(name=named, readers=readers)

    def put_readers(self, request: Request, ns: str, name: str, asked: SetReadersAsked) -> SetReadersAnswer:
        """Let these wallets read a data set with all its private episodes, and no others, as its owner."""
        owner = self._signed_in(request)
        try:
            wallets = [require_address(one) for one in asked.readers]
        except SignatureError as error:
            raise errors.ApiError(422, "address", str(error)) from error
        with refusing():
            readers = self._require_readers().put(f"{ns}/{name}", owner, wallets)
        return SetReadersAnswer(name=f"{ns}/{name}", readers=readers)

    def _require_readers(self) -> SetReaders:
        if self._readers is None:
            raise errors.ApiError(404, "unknown_dataset", "this hub has no private data sets")
        return self._readers

    def _require_seen(self, request: Request, named: str) -> bool:
        """Return whether a version is private; raise a DatasetRefusedError if whoever asks may not see what it has."""
        with self._database() as db:
            found = at(db, named)
            if not found.row.private:
                return False
            require_seen(db, found, asking(self._signed_in, request).wallet())
        return True

    def _new(self, made: At, owner: str) -> SetAnswer:
        self._made()
        return self._answer(f"{made.dataset.name}@{made.row.version}", Asker(lambda: owner))

    def _answer(self, named: str, asker: Asker) -> SetAnswer:
        with self._database() as db:
            found = at(db, named)
            shown = not found.row.private or sees(db, found, asker.wallet())
            card = card_of(db, found) if shown else None
            plain = None if card is None else CARD.decode(card)
            (said,) = self._answers(Shelf([found], None)).sets
        return said.model_copy(update={"card": plain})

    def _answers(self, found: Shelf) -> ShelfAnswer:
        with self._database() as db:
            inside, many = contents(db, found.found), counts(db, found.found)
        released = self._released([one.row.digest for one in found.found])
        answers = [
            SetAnswer.of(
                one,
                inside[one.row.dataset, one.row.version],
                many[one.dataset.id],
                released_ms=released.get(one.row.digest),
            )
            for one in found.found
        ]
        return ShelfAnswer(sets=answers, next=found.next)


def router(
    database: Database,
    changes: Changes,
    consent: Consent,
    signed_in: SignedIn,
    *,
    made: Callable[[], None] = lambda: None,
    released: Released = nothing_released,
    readers: SetReaders | None = None,
) -> APIRouter:
    """Return the routes. `made` is called when there is a new version; without `readers`, nobody names any."""
    ours, routes = _Routes(database, changes, consent, signed_in, made, released, readers), APIRouter()
    one = "/api/sets/{ns}/{name}"
    routes.get("/api/sets")(ours.shelf)
    routes.post("/api/sets", status_code=201)(ours.create)
    routes.get(one)(ours.newest)
    routes.get(f"{one}/versions")(ours.versions)
    routes.get(f"{one}/versions/{{n}}")(ours.version)
    routes.get(f"{one}/versions/{{n}}/document", response_class=Response, responses=_DOCUMENT)(ours.document)
    routes.get(f"{one}/versions/{{n}}/episodes")(ours.episodes)
    routes.post(f"{one}/append", status_code=201)(ours.append)
    routes.post(f"{one}/withdraw", status_code=201)(ours.withdraw)
    routes.post(f"{one}/merge", status_code=201)(ours.merge)
    routes.post(f"{one}/describe", status_code=201)(ours.describe)
    routes.get(f"{one}/readers")(ours.readers)
    routes.put(f"{one}/readers")(ours.put_readers)
    routes.post("/api/episodes/{episode}/withdraw")(ours.end_consent)
    routes.get("/api/operators/{address}/withdrawn")(ours.withdrawn)
    return routes


def body_bytes_max(below: BytesMax) -> BytesMax:
    """Return how long request bodies may be: those that name episodes are longer."""

    def most(scope: Scope) -> int | None:
        names = scope["method"] == "POST" and _NAMES.fullmatch(scope["path"])
        return BODY_BYTES_MAX if names else below(scope)

    return most


def _at(ns: str, name: str, n: int) -> str:
    return f"{ns}/{name}@{n}"


def _chosen(asked: EpisodesAsked) -> Chosen:
    return Chosen(tuple(asked.episodes), asked.search.words, asked.practice)


_STATUS: Final[errors.Statuses] = {
    **refusals.STATUS,
    SharesError: 422,
    UnknownFilterError: 422,
    FilterValueError: 422,
    CursorError: 422,
    SlowQueryError: errors.Said(503, "search_slow", "the search was ended: {}; search for less, or later"),
    UnknownEpisodeError: 404,
    NotTheOperatorError: 403,
    EpisodeStateError: 409,
}
refusing = partial(errors.refusing, _STATUS)
"""Turns what was refused into HTTP errors."""
