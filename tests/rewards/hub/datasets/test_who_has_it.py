"""Promises to whoever looks at one episode: which data sets have it, and, to its operator, what was withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.rewards.hub.datasets.shop import Shop, opened
from tests.rewards.hub.datasets.test_api import ADAS, BOBS, created, made, refused
from tests.rewards.world import ADA, BOB


@pytest.fixture
def shop(tmp_path: Path, either_database: str) -> Iterator[Shop]:
    found = opened(tmp_path)
    yield found
    found.database.kw["bind"].dispose()


@pytest.fixture
def client(shop: Shop) -> Iterator[TestClient]:
    with shop.served() as found:
        yield found


def holding(client: TestClient, episode: str) -> list[tuple[str, int]]:
    """Return the data sets that have an episode, as the hub tells it."""
    found = client.get("/api/sets", params={"episode": episode}).json()
    return [(one["name"], one["version"]) for one in found["sets"]]


def test_an_episode_names_the_data_sets_whose_newest_version_has_it(shop: Shop, client: TestClient) -> None:
    ids = shop.stock(4)
    created(client, ids[:2])
    created(client, ids[1:3], name="lab/other")
    assert holding(client, ids[0]) == [("lab/lift", 1)]
    assert sorted(holding(client, ids[1])) == [("lab/lift", 1), ("lab/other", 1)]
    assert holding(client, ids[3]) == holding(client, "nobody") == holding(client, "a\x00b") == []
    made(client.post("/api/sets/lab/lift/withdraw", json={"episodes": [ids[1]], "reason": "bad"}, headers=ADAS))
    assert holding(client, ids[1]) == [("lab/other", 1)]
    assert holding(client, ids[0]) == [("lab/lift", 2)]
    made(client.post("/api/sets/lab/lift/append", json={"episodes": [ids[1]]}, headers=ADAS))
    assert sorted(holding(client, ids[1])) == [("lab/lift", 3), ("lab/other", 1)]


def test_an_operator_lists_what_was_withdrawn_page_by_page_the_last_first(shop: Shop, client: TestClient) -> None:
    mine, theirs = shop.stock(3), shop.stock(1, first=3, operator=BOB)
    for episode, headers in [(mine[2], ADAS), (theirs[0], BOBS), (mine[0], ADAS)]:
        client.post(f"/api/episodes/{episode}/withdraw", json={"reason": f"mine: {episode}"}, headers=headers)
    path = f"/api/operators/{ADA}/withdrawn"
    whole = client.get(path, headers=ADAS).json()
    assert [one["episode"] for one in whole["episodes"]] == [mine[0], mine[2]]
    assert whole["next"] is None
    first = client.get(path, params={"limit": 1}, headers=ADAS).json()
    assert first["episodes"] == whole["episodes"][:1]
    assert first["episodes"][0]["why"] == f"mine: {mine[0]}"
    assert first["episodes"][0]["withdrawn_ms"] > 0
    second = client.get(path, params={"limit": 1, "after": first["next"]}, headers=ADAS).json()
    assert (second["episodes"], second["next"]) == (whole["episodes"][1:], None)


def test_nobody_else_lists_them(shop: Shop, client: TestClient) -> None:
    shop.stock(1)
    path = f"/api/operators/{ADA}/withdrawn"
    refused(client.get(path), 401, "auth")
    refused(client.get(path, headers=BOBS), 403, "not_the_operator")
    for odd in ("x", "1", "1.", "9" * 30 + ".e"):
        refused(client.get(path, params={"after": odd}, headers=ADAS), 422, "cursor")
