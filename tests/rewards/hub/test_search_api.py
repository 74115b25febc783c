"""Searching over HTTP: answers with types, refusals by name, and an end to how much a stranger may ask at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recorder.hub.states import EpisodeState
from rewards.hub import search_api
from rewards.hub.search import FoundPage, Search
from rewards.hub.search_api import router
from teleop.hub import errors
from teleop.hub.db import SlowQueryError
from tests.rewards.world import ADA, DictVault, World, make_world


@pytest.fixture
def world(tmp_path: Path, either_database: str) -> Iterator[World]:
    made = make_world(tmp_path, DictVault())
    yield made
    made.database.kw["bind"].dispose()


def client_of(search: Search) -> TestClient:
    app = FastAPI()
    errors.install(app)
    app.include_router(router(search))
    return TestClient(app)


@pytest.fixture
def web(world: World) -> TestClient:
    return client_of(Search(world.database))


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_page_has_the_episodes_what_comes_next_and_how_many_there_are(world, web):
    for number in range(3):
        world.listed(f"e{number}", EpisodeState.VERIFIED)
    page = web.get("/api/episodes?limit=2").json()
    assert [one["episode"] for one in page["episodes"]] == ["e2", "e1"]
    assert (page["total"], page["more"]) == (3, False)
    rest = web.get("/api/episodes", params={"limit": "2", "after": page["next"]}).json()
    assert ([one["episode"] for one in rest["episodes"]], rest["next"]) == (["e0"], None)
    one = rest["episodes"][0]
    assert (one["score"], one["rules"], one["accepted"], one["practice"], one["model"]) == (
        None,
        None,
        None,
        False,
        None,
    )


def test_the_values_are_counted(world, web):
    world.listed("e0", EpisodeState.VERIFIED)
    values = web.get("/api/episodes/words", params={"operator": ADA}).json()
    assert values["task"] == [{"value": "lift", "episodes": 1}]
    assert values["driver"] == []


def test_the_neighbours_are_answered(world, web):
    for number in range(3):
        world.listed(f"e{number}", EpisodeState.VERIFIED)
    beside = {"next": "e2", "previous": "e0"}
    assert web.get("/api/episodes/e1/neighbours").json() == {"task": beside, "operator": beside, "motion": []}
    assert code(web.get("/api/episodes/none/neighbours")) == (404, "unknown_episode")


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("tusk=lift", "unknown_filter"),
        ("task=", "filter_value"),
        ("task=lift&task=push", "filter_value"),
        ("operator=ada", "filter_value"),
        ("driver=robot", "filter_value"),
        ("limit=0", "filter_value"),
        ("limit=100000000000", "filter_value"),
        ("task=%00", "filter_value"),
        ("task=%ff", None),
        ("score_min=NaN", "filter_value"),
        ("dataset=lab/lift", "filter_value"),
        ("after=nowhere", "cursor"),
        ("after=oldest.1.e", "cursor"),
        ("after=newest.999999999999999999.e", None),
        ("order=best&after=best.999999999999999999.%27", None),
        ("task=" + "x" * 10_000, "filter_value"),
        ("x" * 10_000 + "=1", "unknown_filter"),
    ],
)
def test_what_cannot_be_searched_for_is_refused_by_name(web, query, refused):
    answer = web.get(f"/api/episodes?{query}")
    if refused is None:
        assert answer.json()["episodes"] == []
    else:
        assert code(answer) == (422, refused)
        assert len(answer.content) < 3000


@pytest.mark.parametrize("query", ["limit=1", "order=best", "after=x", "tusk=1"])
def test_the_values_are_asked_for_by_what_finds_something(web, query):
    assert code(web.get(f"/api/episodes/words?{query}")) == (422, "unknown_filter")


def test_a_search_that_was_ended_says_so(world):
    class Slow(Search):
        def page(self, words):
            raise SlowQueryError("it took longer than 2 s")

    assert code(client_of(Slow(world.database)).get("/api/episodes")) == (503, "search_slow")


def test_beyond_a_number_of_searches_that_wait_the_next_is_told_to_try_again(world, monkeypatch):
    monkeypatch.setattr(search_api, "WAITING_MAX", search_api.AT_ONCE)
    begun, go_on = threading.Semaphore(0), threading.Event()

    class Held(Search):
        def page(self, words):
            begun.release()
            assert go_on.wait(30)
            return FoundPage([], None, 0, False)

    with client_of(Held(world.database)) as web:
        answers: list[int] = []
        asking = [
            threading.Thread(target=lambda: answers.append(web.get("/api/episodes").status_code))
            for _ in range(search_api.AT_ONCE)
        ]
        for one in asking:
            one.start()
        for _ in asking:
            assert begun.acquire(timeout=30)
        assert code(web.get("/api/episodes")) == (503, "search_busy")
        go_on.set()
        for one in asking:
            one.join()
        assert answers == [200] * search_api.AT_ONCE
        assert web.get("/api/episodes").status_code == 200, "and once they are answered there is room again"
