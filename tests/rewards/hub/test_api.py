"""Promises of the rewards API: what docs/http.md says, and every refusal with a code and what to do."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from sqlalchemy import Engine, inspect, text

from armshare.migrations import migrate
from armshare.platform.processes import listen
from recorder.hub.catalogue import Catalogue
from recorder.hub.states import EpisodeState
from rewards.hub.api import router
from rewards.ledger.settle import read_payout
from rewards.score.kept import keep_score
from rewards.tables import APPEND_ONLY
from teleop.hub import errors
from teleop.hub.db import Base, open_engine
from teleop.hub.errors import ApiError
from teleop.hub.server import serving
from tests.databases import url_below
from tests.recorder.factory import fixed_key
from tests.rewards.world import ADA, BOB, PRICE_WEI, DictVault, World, make_world

ADMIN = {"Authorization": "Bearer of-the-platform"}


def signed_in(request: Request) -> str:
    """Take the wallet's name for its token."""
    name = request.headers.get("authorization", "").removeprefix("Bearer ")
    if name not in ("ada", "bob"):
        raise ApiError(401, "auth", "expected the token of a signed-in wallet; sign in again")
    return {"ada": ADA, "bob": BOB}[name]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A hub whose lift pool is full."""
    made = make_world(tmp_path, DictVault())
    made.pipeline().fund("lift", 100 * PRICE_WEI, "first")
    yield made
    made.database.kw["bind"].dispose()


@pytest.fixture(autouse=True)
def one_episode(world: World) -> None:
    """Ada's verified episode."""
    world.verified("e1")


@contextmanager
def served(world: World, admin_token: str = "of-the-platform") -> Iterator[httpx.Client]:
    """Serve the room as the door does, on a real socket, and hand out a client."""
    pipeline = world.pipeline()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pipeline:
            yield

    app = FastAPI(lifespan=lifespan)
    errors.install(app)
    app.include_router(router(pipeline, Catalogue(world.database), signed_in, admin_token))
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(serving.config(app))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=40) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def client(world: World) -> Iterator[httpx.Client]:
    """A client of the room."""
    with served(world) as made:
        yield made


def refused(answer: Any, status: int, code: str) -> str:
    """Hold a refusal to its shape; return its message."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["code"] == code
    return str(body["error"]["message"])


@pytest.fixture
def scored(world: World, client: httpx.Client) -> dict[str, Any]:
    """The answer for an episode of Ada's, verified before the door opened."""
    return dict(client.get("/api/episodes/e1/score?wait_s=30").json())


def test_a_score_says_how_it_came_about_and_what_it_pays(scored):
    assert set(scored["vector"]) == {"success", "path_efficiency", "smoothness", "idle", "tracking"}
    assert all(0.0 <= value <= 1.0 for value in scored["vector"].values())
    assert (scored["episode"], scored["version"], scored["accepted"]) == ("e1", "2", True)
    assert scored["score"] == scored["score_ppm"] / 1_000_000
    assert scored["pay"] == str(PRICE_WEI * scored["score_ppm"] // 1_000_000)
    assert (scored["price"], scored["paid"]) == (str(PRICE_WEI), True)
    assert isinstance(scored["reasons"], list)


def test_a_practice_episode_is_answered_with_its_checks_and_the_operator_with_what_is_needed(world):
    world.qualification = True
    with served(world) as client:
        scored = client.get("/api/episodes/e1/score?wait_s=30").json()
        known = client.get(f"/api/operators/{ADA}").json()
        new = client.get(f"/api/operators/{BOB}").json()
    practice = scored["practice"]
    assert (scored["accepted"], scored["pay"], scored["paid"]) == (True, "0", False)
    assert (practice["reason"], practice["passed"]) == ("not_qualified", False)
    assert {one["name"]: one["passed"] for one in practice["checks"]}["let_go"] is False
    assert all(set(one) == {"name", "passed", "measured", "sentence"} for one in practice["checks"])
    needs = {"moved_m": 0.05, "rest_s": 0.5, "duration_s": 5.0, "limited": 0.25}
    about = {"qualified": False, "since_ms": None, "needs": needs}
    assert known == {
        "address": ADA,
        **about,
        "episode": "e1",
        "checks": practice["checks"],
        "shown": ["move_y", "move_z"],
    }
    assert new == {"address": BOB, **about, "episode": None, "checks": [], "shown": []}


def test_where_no_first_drive_is_asked_for_everyone_is_qualified_and_nothing_is_practice(scored, client):
    assert scored["practice"] is None
    assert client.get(f"/api/operators/{BOB}").json()["qualified"] is True


def test_a_name_that_is_no_address_is_no_operator(client):
    assert "address" in refused(client.get("/api/operators/ada"), 422, "address")


def test_an_unknown_episode_has_no_score(client):
    assert "e9" in refused(client.get("/api/episodes/e9/score"), 404, "unknown_episode")
    refused(client.get("/api/episodes/e9/files/score.json"), 404, "unknown_episode")


def test_a_score_is_given_out_as_the_file_that_lies_beside_an_episode(scored, world, client):
    answer = client.get("/api/episodes/e1/files/score.json")
    assert client.head("/api/episodes/e1/files/score.json").headers["Content-Length"] == str(len(answer.content))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert 'filename="e1-score.json"' in answer.headers["content-disposition"]
    file = world.store.path("e1", "episode.h5")
    keep_score(file.parent)
    assert answer.content == (file.parent / "score.json").read_bytes()


def test_an_episode_that_waits_for_its_signature_says_so(world, client):
    world.listed("e2", EpisodeState.UPLOADED)
    assert "uploaded" in refused(client.get("/api/episodes/e2/score?wait_s=0"), 404, "not_scored")


def test_a_held_episode_is_scored_later(world, client):
    world.listed("e2", EpisodeState.HELD)
    assert "held" in refused(client.get("/api/episodes/e2/score?wait_s=0"), 404, "not_scored")


def test_a_rejected_episode_is_never_scored(world, client):
    world.listed("e2", EpisodeState.REJECTED)
    assert "rejected" in refused(client.get("/api/episodes/e2/score"), 404, "never_scored")


@pytest.mark.parametrize("wait_s", ["-1", "31", "nan", "soon"])
def test_nobody_may_wait_for_ever(client, wait_s):
    refused(client.get(f"/api/episodes/e1/score?wait_s={wait_s}"), 422, "invalid")


def test_money_goes_all_the_way(client, scored):
    pay = scored["pay"]
    before = client.get(f"/api/balances/{ADA}").json()
    line = {"time_ms": 1, "episode": "e1", "kind": "episode", "role": "operator", "amount": pay, "reason": None}
    assert before["entries"] == [line]
    assert [before[name] for name in ("earned", "settled", "claimed", "wallet")] == [pay, "0", "0", "0"]
    root = client.post("/api/settle", headers=ADMIN).json()
    assert (root["total"], root["payees"], root["state"], root["index"]) == (pay, 1, "final", 0)
    assert client.get("/api/roots").json() == [root]
    document = client.get(f"/api/roots/{root['root']}")
    assert document.headers["content-type"] == "application/json"
    assert dict(read_payout(document.content).cumulative) == {ADA: int(pay)}
    claimed = client.post("/api/claim", headers={"Authorization": "Bearer ada"}).json()
    assert (claimed["amount"], claimed["claimed"], claimed["wallet"]) == (pay, pay, pay)
    after = client.get(f"/api/balances/{ADA}").json()
    assert [after[name] for name in ("earned", "settled", "claimed", "wallet")] == [pay, pay, pay, pay]


def test_a_claim_pays_once_and_only_who_earned(client, scored):
    client.post("/api/settle", headers=ADMIN)
    client.post("/api/claim", headers={"Authorization": "Bearer ada"})
    refused(client.post("/api/claim", headers={"Authorization": "Bearer ada"}), 409, "nothing_to_claim")
    refused(client.post("/api/claim", headers={"Authorization": "Bearer bob"}), 409, "nothing_to_claim")
    refused(client.post("/api/claim"), 401, "auth")


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer ada"}, {"Authorization": "Basic of-the-platform"}])
def test_only_the_platform_settles_by_hand(client, header):
    refused(client.post("/api/settle", headers=header), 401, "auth")


def test_without_an_admin_token_nobody_settles_by_hand(world):
    with served(world, admin_token="") as client:
        refused(client.post("/api/settle", headers={"Authorization": "Bearer"}), 401, "auth")


def test_there_is_no_root_before_anybody_has_earned(tmp_path):
    world = make_world(tmp_path / "other", DictVault())
    with served(world) as client:
        refused(client.post("/api/settle", headers=ADMIN), 409, "nothing_earned")
    world.database.kw["bind"].dispose()


@pytest.mark.parametrize("address", ["ada", ADA.lower(), "0x"])
def test_a_balance_needs_a_checksummed_address(client, address):
    assert "checksummed" in refused(client.get(f"/api/balances/{address}"), 422, "address")


def test_a_stranger_has_earned_nothing(client):
    found = client.get(f"/api/balances/{fixed_key('stranger').address}").json()
    assert (found["earned"], found["entries"]) == ("0", [])


def test_an_unknown_root_is_not_found(client):
    refused(client.get("/api/roots/0x00"), 404, "unknown_root")


def test_a_chain_that_is_silent_is_said_to_be(world, client, scored):
    world.vault.fail = "before"
    assert "again" in refused(client.post("/api/settle", headers=ADMIN), 503, "chain_unreachable")
    assert client.post("/api/settle", headers=ADMIN).json()["state"] == "final"


def migrated(folder: Path) -> Engine:
    """Return a database that the migrations made."""
    engine = open_engine(url_below(folder, "migrated"))
    migrate(engine)
    return engine


def test_the_migrations_make_the_tables_that_the_models_say(tmp_path):
    made, modelled = migrated(tmp_path), open_engine("sqlite://")
    Base.metadata.create_all(modelled)
    tables = (
        *APPEND_ONLY,
        "payout_roots",
        "unscored",
        "rescorings",
        "starts",
        "episode_facts",
        "under_review",
        "review_tasks",
        "owed_waiting",
    )
    assert {table: _shape(made, table) for table in tables} == {table: _shape(modelled, table) for table in tables}
    made.dispose()
    modelled.dispose()


def _shape(engine: Engine, table: str) -> dict[str, Any]:
    looked = inspect(engine)
    with engine.connect() as connection:
        triggers = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name ORDER BY name")
        return {
            "columns": {
                one["name"]: (str(one["type"]), one["nullable"], one["primary_key"])
                for one in looked.get_columns(table)
            },
            "indexes": sorted((tuple(one["column_names"]), one["unique"]) for one in looked.get_indexes(table)),
            "unique": sorted(tuple(one["column_names"]) for one in looked.get_unique_constraints(table)),
            "foreign": sorted(
                (tuple(one["constrained_columns"]), one["referred_table"]) for one in looked.get_foreign_keys(table)
            ),
            "triggers": [tuple(row) for row in connection.execute(triggers, {"name": table})],
        }
