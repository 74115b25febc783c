"""What the routes say of a score's parts and versions, the best drive, what has no score yet, and rescoring."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from rewards.hub.scoring import Scoring
from rewards.score.verdict import SegmentKind
from tests.rewards.hub.test_api import ADMIN, refused, served
from tests.rewards.hub.test_pipeline import submitted
from tests.rewards.hub.test_pipeline import world as world
from tests.rewards.other_rules import OtherRules
from tests.rewards.world import ADA, BOB, PRICE_WEI, World


@pytest.fixture
def client(world: World) -> Iterator[httpx.Client]:
    with served(world) as made:
        yield made


def test_a_score_has_its_costs_with_their_moments_what_is_shown_and_its_stretches(world: World) -> None:
    world.verified("e1", rules="9")
    asyncio.run(world.pipeline(**OtherRules({"9": 800_000}).options).scoring.score("e1"))
    with served(world) as client:
        said = client.get("/api/episodes/e1/score").json()
    moment = {"from_s": 0.5, "until_s": 1.25}
    assert said["costs"] == [
        {"part": "flow", "points": 0.15, "sentence": "You paused for 0.8 s: go on at once.", **moment},
        {"part": "order", "points": 0.05, "sentence": "It fell.", "from_s": None, "until_s": None},
    ]
    assert said["shown"] == {"smoothness": -2.5, "recoveries": 1.0}
    recovery = {"kind": SegmentKind.RECOVERY.value, "from_s": 2.0, "until_s": 2.5}
    assert said["segments"] == [{"kind": "idle", **moment}, recovery]
    pay = str(8 * PRICE_WEI // 10)
    costs = said["costs"]
    assert said["refused"] == []
    assert said["versions"] == [
        {"version": "9", "score": 0.8, "pay": pay, "paid": True, "scored_ms": 1, "costs": costs}
    ]


def test_a_score_without_moments_says_so(world: World) -> None:
    world.verified("e1")
    with served(world) as client:
        said = client.get("/api/episodes/e1/score?wait_s=30").json()
    assert (said["costs"], said["shown"], said["segments"]) == ([], {}, [])
    [version] = said["versions"]
    assert (version["version"], version["pay"], version["paid"]) == (said["version"], said["pay"], True)


def test_what_has_no_score_says_why_and_when_it_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.pipeline().scoring
    before.submit(world.verified("e1", rules="no-such-rules"))
    asyncio.run(before.work())

    async def nothing(_scoring: Scoring) -> None:
        """Find nothing: it would be tried again as the hub starts."""

    monkeypatch.setattr(Scoring, "search", nothing)
    with served(world) as client:
        said = refused(client.get("/api/episodes/e1/score"), 404, "not_scored")
    again = datetime.fromtimestamp(30, UTC).strftime("%Y-%m-%d %H:%M UTC")
    assert "could not be scored yet (UnknownRulesError: " in said
    assert "update armshare" in said
    assert f"tried once, and again by itself, {again} at the latest" in said


def test_the_best_drive_from_a_like_start_is_named_with_who_drove_it(world: World, client: httpx.Client) -> None:
    asyncio.run(submitted(world, world.verified("e1", success=False), world.verified("e2", operator=BOB, seed=9)))
    said = client.get("/api/episodes/e1/best").json()
    score = client.get("/api/episodes/e2/score").json()["score"]
    assert said == {"episode": "e2", "score": score, "duration_s": 3.0, "apart_m": 0.0, "driver": None}


def test_if_there_is_no_such_drive_that_is_said(world: World, client: httpx.Client) -> None:
    asyncio.run(submitted(world, world.verified("e1")))
    assert "within 5 cm" in refused(client.get("/api/episodes/e1/best"), 404, "no_best")
    refused(client.get("/api/episodes/e9/best"), 404, "unknown_episode")


def test_the_platform_rescores_and_sees_how_far_it_is(world: World, client: httpx.Client) -> None:
    asyncio.run(submitted(world, world.verified("e1"), world.verified("e2", operator=BOB, seed=9)))
    answer = client.post("/api/rescore", json={"rules": "1", "task": "lift"}, headers=ADMIN)
    assert answer.status_code == 202
    job = answer.json()
    assert (job["rules"], job["task"], job["episodes"]) == ("1", "lift", 2)
    known = {"id", "rules", "task", "state", "episodes", "seen", "failed", "added", "pay", "began_ms", "ended_ms"}
    assert set(job) == known
    [listed] = client.get("/api/rescore", headers=ADMIN).json()
    assert listed["id"] == job["id"]


def test_a_difference_is_on_the_statement_with_its_reason(world: World, client: httpx.Client) -> None:
    asyncio.run(submitted(world, world.verified("e1")))
    asyncio.run(world.pipeline(**OtherRules({"9": 1_000_000}).options).scoring.rescore("e1", "9"))
    newest, first = client.get(f"/api/balances/{ADA}").json()["entries"]
    assert (newest["kind"], newest["episode"], first["kind"], first["reason"]) == ("rescored", "e1", "episode", None)
    assert newest["reason"].startswith("version 9 of the rules scores it 1.000000")
    assert int(newest["amount"]) + int(first["amount"]) == PRICE_WEI


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer ada"}, {"Authorization": "Basic of-the-platform"}])
def test_only_the_platform_rescores(world: World, client: httpx.Client, header: dict[str, str]) -> None:
    refused(client.post("/api/rescore", json={"rules": "2"}, headers=header), 401, "auth")
    refused(client.get("/api/rescore", headers=header), 401, "auth")


def test_rules_that_are_not_here_rescore_nothing(world: World, client: httpx.Client) -> None:
    said = refused(client.post("/api/rescore", json={"rules": "no-such"}, headers=ADMIN), 422, "unknown_rules")
    assert "1, 2" in said
    assert client.get("/api/rescore", headers=ADMIN).json() == []


@pytest.mark.parametrize(
    "body", [{}, {"rules": ""}, {"rules": "x" * 17}, {"rules": "2", "task": "x" * 65}, {"rules": 2}]
)
def test_a_request_to_rescore_is_checked(world: World, client: httpx.Client, body: dict[str, object]) -> None:
    refused(client.post("/api/rescore", json=body, headers=ADMIN), 422, "invalid")
    refused(client.post("/api/rescore", json=body | {"rules": "2", "more": 1}, headers=ADMIN), 422, "invalid")


def test_what_refused_an_episode_is_named_in_its_score_and_in_the_file_of_it(world: World) -> None:
    world.verified("e1", rules="9")
    asyncio.run(world.pipeline(**OtherRules({"9": None}).options).scoring.score("e1"))
    with served(world) as client:
        assert client.get("/api/episodes/e1/score").json()["refused"] == ["not_done", "too_short"]
        file = client.get("/api/episodes/e1/files/score.json").json()
    assert (file["refused"], len(file["costs"]), len(file["segments"])) == (["not_done", "too_short"], 2, 2)


def test_each_version_says_what_cost_what(world: World) -> None:
    world.verified("e1")
    running = world.pipeline(**OtherRules({"9": 800_000}).options)
    asyncio.run(running.scoring.rescore("e1", "9"))
    with served(world) as client:
        first, later = client.get("/api/episodes/e1/score").json()["versions"]
    assert (first["costs"], [one["part"] for one in later["costs"]]) == ([], ["flow", "order"])
