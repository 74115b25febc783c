"""Promises of the routes of review: what docs/http.md says, and every refusal with its code."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from eth_account.signers.local import LocalAccount
from fastapi import FastAPI, Request

from rewards.hub.reviews.api import router
from rewards.hub.reviews.voting import EPISODE_REVIEW, Answer
from teleop.hub import errors
from teleop.hub.errors import ApiError
from tests.recorder.factory import DOMAIN, fixed_key
from tests.rewards.hub.reviews.town import LENGTH_MS, SHARES, Town

pytestmark = pytest.mark.anyio
RITA = fixed_key("rita")


def signed_in(request: Request) -> str:
    """Take the wallet's name for its token."""
    name = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not name:
        raise ApiError(401, "auth", "expected the token of a signed-in wallet; sign in again")
    return fixed_key(name).address


@pytest.fixture
async def http(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    errors.install(app)
    app.include_router(router(town.reviews(), signed_in))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as client:
        client.headers["authorization"] = "Bearer rita"
        yield client


@pytest.fixture
def episode(town: Town) -> str:
    """One that Rita may judge, once she has been asked."""
    town.person("rita")
    return town.filmed(fixed_key("author"), town.robot("real", fixed_key("owner")))


def body(town: Town, task: dict[str, object], *, by: LocalAccount = RITA) -> dict[str, object]:
    """Return an answer that passes, signed."""
    town.now_ms += LENGTH_MS
    said = Answer(RITA.address, str(task["episode"]), True, "", {}, town.now_ms, "")
    signature = EPISODE_REVIEW.sign(by, DOMAIN, said.statement(str(task["digest"])))
    return {"pass": True, "seen": {"pictures_s": 20.0}, "reviewed_ms": town.now_ms, "signature": signature}


async def given(town: Town, http: httpx.AsyncClient, wanted: str) -> dict[str, object]:
    """Return the task of an episode, after those with known answers that come before."""
    while (task := (await http.get("/api/reviews/next")).json()["task"])["episode"] != wanted:
        answer = body(town, task)
        assert (await http.post(f"/api/reviews/{task['episode']}", json=answer)).status_code in (200, 409)
    return dict(task)


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_review_from_the_question_to_the_public_vote(town: Town, http: httpx.AsyncClient, episode: str) -> None:
    standing = (await http.get("/api/reviews")).json()
    assert (standing["may"], standing["standing"], standing["waiting"]) == (True, "trusted", 1)
    task = await given(town, http, episode)
    assert int(task["pay"]) == SHARES.reviewer_wei(10**18)
    before = (await http.get(f"/api/episodes/{episode}/reviews")).json()
    assert (before["state"], before["wants"], before["reviews"]) == ("open", 1, [])
    kept = await http.post(f"/api/reviews/{episode}", json=body(town, task))
    assert kept.json() == {"episode": episode, "kept": True}
    shown = (await http.get(f"/api/episodes/{episode}/reviews")).json()
    assert (shown["state"], shown["said"], [one["reviewer"] for one in shown["reviews"]]) == (
        "passed",
        True,
        [RITA.address],
    )


async def test_what_is_refused_has_a_code(town: Town, http: httpx.AsyncClient, episode: str) -> None:
    task = await given(town, http, episode)
    at = f"/api/reviews/{episode}"
    forged = body(town, task, by=fixed_key("somebody else"))
    assert refused(await http.post(at, json=forged)) == (422, "signature")
    assert refused(await http.post(at, json={**body(town, task), "reviewed_ms": 5})) == (422, "clock")
    assert refused(await http.post(at, json={**body(town, task), "seen": {}})) == (422, "unseen")
    assert refused(await http.post(at, json={**body(town, task), "more": 1}))[0] == 422
    assert refused(await http.post("/api/reviews/nothing", json=body(town, task))) == (409, "not_asked")
    assert refused(await http.get("/api/episodes/nothing/reviews")) == (404, "not_reviewed")
    town.driver("new", next(one.address for one in town.robots if one.simulated), accepted=0)
    new = {"authorization": "Bearer new"}
    assert refused(await http.get("/api/reviews/next", headers=new)) == (403, "not_a_reviewer")
    assert refused(await http.get("/api/reviews", headers={"authorization": ""})) == (401, "auth")
    assert (await http.post(f"{at}/refuse")).json()["refusals_left"] == 9
    assert refused(await http.post(f"{at}/refuse")) == (409, "not_asked")


async def test_an_answer_that_comes_too_soon_says_when_to_come_again(
    town: Town, http: httpx.AsyncClient, episode: str
) -> None:
    answer = body(town, await given(town, http, episode))
    town.now_ms -= LENGTH_MS
    early = await http.post(f"/api/reviews/{episode}", json=answer)
    assert refused(early) == (425, "too_soon")
    assert int(early.headers["retry-after"]) == LENGTH_MS // 4 // 1000


async def test_nothing_in_an_answer_says_which_answers_are_known(
    town: Town, http: httpx.AsyncClient, episode: str
) -> None:
    real = await given(town, http, episode)
    known = (await http.get("/api/reviews/next", headers={"authorization": "Bearer sam"})).json()
    assert known.get("task") is None, "sam has driven too little"
    town.person("sam")
    town.filmed(fixed_key("author"), next(one.address for one in town.robots if not one.simulated))
    seen = set()
    for _ in range(30):
        task = (await http.get("/api/reviews/next", headers={"authorization": "Bearer sam"})).json()["task"]
        if task is None:
            break
        seen.add(task["episode"] in town.truths)
        assert (task.keys(), task["pay"]) == (real.keys(), real["pay"])
        await http.post(f"/api/reviews/{task['episode']}/refuse", headers={"authorization": "Bearer sam"})
        town.now_ms += 24 * 3_600_000
        town.filmed(fixed_key("author"), next(one.address for one in town.robots if not one.simulated))
    assert seen == {True, False}
