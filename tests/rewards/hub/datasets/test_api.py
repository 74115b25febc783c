"""Promises of data sets over HTTP: immutable versions, each a step from the one before, and every refusal by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient

from recorder.hub.states import EpisodeState
from rewards.datasets.version import DatasetVersion
from tests.rewards.hub.datasets.shop import LIFT, Shop, opened
from tests.rewards.world import ADA, BOB

ADAS, BOBS = {"Authorization": "Bearer ada"}, {"Authorization": "Bearer bob"}


@pytest.fixture
def shop(tmp_path: Path, either_database: str) -> Iterator[Shop]:
    made = opened(tmp_path)
    yield made
    made.database.kw["bind"].dispose()


@pytest.fixture
def client(shop: Shop) -> Iterator[TestClient]:
    with shop.served() as made:
        yield made


def refused(answer: Any, status: int, code: str) -> str:
    """Hold a refusal to its shape; return its message."""
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == code
    return str(answer.json()["error"]["message"])


def made(answer: Any) -> dict[str, Any]:
    """Return the version that was made."""
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def created(client: TestClient, episodes: list[str], name: str = "lab/lift", **asked: Any) -> dict[str, Any]:
    return made(client.post("/api/sets", json={"name": name, **LIFT, "episodes": episodes, **asked}, headers=ADAS))


def document(client: TestClient, version: int, name: str = "lab/lift") -> DatasetVersion:
    """Return a version, whose bytes are what its digest says."""
    answer = client.get(f"/api/sets/{name}/versions/{version}/document")
    found = msgspec.json.decode(answer.content, type=DatasetVersion)
    said = client.get(f"/api/sets/{name}/versions/{version}").json()
    assert hashlib.sha256(answer.content).hexdigest() == said["digest"] == found.digest
    assert found.encode() == answer.content
    return found


def test_a_new_data_set_says_who_made_it_of_what_and_can_be_read_by_its_digest(shop, client):
    ids = shop.stock(3)
    said = created(client, ids, description="Of cubes.")
    assert (said["name"], said["version"], said["owner"], said["previous"]) == ("lab/lift", 1, ADA, "")
    assert (said["episodes"], said["bytes"], said["duration_s"]) == (3, 3000, 4.5)
    assert said["tasks"] == [{"name": "lift", "episodes": 3}]
    assert said["models"] == [{"name": "panda", "episodes": 3}]
    assert said["change"] == {"kind": "created", "reason": "", "merged": []}
    assert [one.episode for one in document(client, 1).episodes] == ids
    assert client.get("/api/sets/lab/lift").json() == said


def test_append_withdraw_merge_and_describe_are_versions_and_the_ones_before_stay_as_they_were(shop, client):
    ids = shop.stock(6)
    created(client, ids[:2])
    first = document(client, 1)
    made(client.post("/api/sets/lab/lift/append", json={"episodes": ids[1:4], "reason": "more"}, headers=ADAS))
    made(client.post("/api/sets/lab/lift/withdraw", json={"episodes": [ids[0]], "reason": "bad"}, headers=ADAS))
    other = created(client, ids[3:6], "lab/other")
    asked = {"with": "lab/other@1", "reason": "both"}
    made(client.post("/api/sets/lab/lift/merge", json=asked, headers=ADAS))
    made(client.post("/api/sets/lab/lift/describe", json={"title": "Better"}, headers=ADAS))
    assert [[one.episode for one in document(client, n).episodes] for n in range(1, 6)] == [
        ids[:2],
        ids[:4],
        ids[1:4],
        ids[1:6],
        ids[1:6],
    ]
    assert document(client, 1) == first
    every = [document(client, n) for n in range(1, 6)]
    assert [one.previous for one in every] == ["", *(one.digest for one in every[:-1])]
    assert [one.change.kind.value for one in every] == ["created", "appended", "withdrawn", "merged", "described"]
    assert every[3].change.merged == (other["digest"],)
    assert (every[4].title, every[4].description, every[4].licence) == ("Better", "", "CC-BY-4.0")
    listed = client.get("/api/sets/lab/lift/versions").json()["sets"]
    assert [(one["version"], one["versions"], one["episodes"]) for one in listed] == [
        (5, 5, 5),
        (4, 5, 5),
        (3, 5, 3),
        (2, 5, 4),
        (1, 5, 2),
    ]


def test_what_may_not_be_in_a_data_set_is_refused_by_name_and_nothing_is_made(shop, client):
    good = shop.stock(1)
    shop.stock(1, first=10, state=EpisodeState.UPLOADED)
    shop.stock(1, first=20, practice=True)
    shop.stock(1, first=30, erased_ms=5)
    shop.stock(1, first=50, scored=False)
    shop.stock(1, first=40)
    assert client.post("/api/episodes/e00040/withdraw", json={}, headers=ADAS).status_code == 200
    for episode, status, code in (
        ("nobody", 404, "unknown_episodes"),
        ("e00010", 422, "unverified_episodes"),
        ("e00020", 422, "practice_episodes"),
        ("e00030", 422, "erased_episodes"),
        ("e00040", 422, "withdrawn_episodes"),
        ("e00050", 409, "unscored_episodes"),
    ):
        asked = {"name": "lab/lift", **LIFT, "episodes": [*good, episode]}
        assert repr(episode) in refused(client.post("/api/sets", json=asked, headers=ADAS), status, code)
    refused(client.get("/api/sets/lab/lift"), 404, "unknown_dataset")
    assert created(client, [*good, "e00020"], practice=True)["episodes"] == 2


def test_a_refusal_names_at_most_twenty_episodes(client):
    asked = {"name": "lab/lift", **LIFT, "episodes": [f"x{at}" for at in range(50)]}
    said = refused(client.post("/api/sets", json=asked, headers=ADAS), 404, "unknown_episodes")
    assert "'x19' and 30 more are" in said
    assert "'x20'" not in said


def test_only_the_owner_of_a_namespace_makes_and_changes_data_sets_in_it(shop, client):
    ids = shop.stock(3)
    created(client, ids[:1])
    asked = {"name": "lab/mine", **LIFT, "episodes": ids}
    assert ADA in refused(client.post("/api/sets", json=asked, headers=BOBS), 403, "not_the_namespace")
    for change, body in (
        ("append", {"episodes": ids}),
        ("withdraw", {"episodes": ids[:1]}),
        ("merge", {"with": "lab/lift"}),
        ("describe", {"title": "Mine"}),
    ):
        refused(client.post(f"/api/sets/lab/lift/{change}", json=body, headers=BOBS), 403, "not_the_namespace")
        refused(client.post(f"/api/sets/lab/lift/{change}", json=body), 401, "auth")
    assert client.get("/api/sets/lab/lift").json()["versions"] == 1


def test_a_search_makes_a_data_set_of_what_it_finds_without_practice(shop, client):
    shop.stock(3)
    shop.stock(2, first=10, task="push")
    shop.stock(2, first=20, practice=True)
    shop.stock(2, first=30, scored=False)
    said = created(client, [], search={"task": "lift", "order": "oldest", "success": True, "score_min": 0.5})
    assert [one.episode for one in document(client, 1).episodes] == ["e00000", "e00001", "e00002"]
    assert said["episodes"] == 3
    found = client.get("/api/episodes", params={"dataset": "lab/lift@1", "order": "oldest"}).json()
    assert [one["episode"] for one in found["episodes"]] == ["e00000", "e00001", "e00002"]
    asked = {"name": "lab/x", **LIFT, "search": {"colour": "red"}}
    assert "colour" in refused(client.post("/api/sets", json=asked, headers=ADAS), 422, "unknown_filter")


def test_pages_of_a_version_are_what_a_search_shows_with_the_split(shop, client):
    created(client, shop.stock(5))
    path = "/api/sets/lab/lift/versions/1/episodes"
    first = client.get(path, params={"limit": 3}).json()
    rest = client.get(path, params={"limit": 3, "after": first["next"]}).json()
    assert [one["episode"] for one in (*first["episodes"], *rest["episodes"])] == [f"e0000{at}" for at in range(5)]
    assert (first["total"], rest["next"]) == (5, None)
    one = first["episodes"][0]
    assert (one["split"], one["place"], one["withdrawn"], one["model"]) == ("train", 0, False, "panda")


def test_consent_that_ends_is_a_new_version_of_every_data_set_that_has_the_episode(shop, client):
    ids = shop.stock(3, operator=BOB)
    created(client, ids)
    created(client, ids[1:], "lab/more")
    created(client, ids[2:], "lab/other")
    refused(client.post(f"/api/episodes/{ids[1]}/withdraw", json={}, headers=ADAS), 403, "not_the_operator")
    said = client.post(f"/api/episodes/{ids[1]}/withdraw", json={"reason": "my face"}, headers=BOBS).json()
    assert said["sets"] == ["lab/lift@2", "lab/more@2"]
    again = client.post(f"/api/episodes/{ids[1]}/withdraw", json={"reason": "again"}, headers=BOBS).json()
    assert (again["sets"], again["reason"]) == ([], "my face")
    assert [one.episode for one in document(client, 2).episodes] == [ids[0], ids[2]]
    assert "my face" in document(client, 2).change.reason
    assert len(document(client, 1).episodes) == 3
    assert [one["withdrawn"] for one in client.get("/api/sets/lab/lift/versions/1/episodes").json()["episodes"]] == [
        False,
        True,
        False,
    ]
    found = client.get("/api/episodes", params={"order": "oldest"}).json()["episodes"]
    assert [one["episode"] for one in found] == [ids[0], ids[2]]
    asked = {"name": "lab/old", **LIFT, "search": {"dataset": "lab/lift@1"}}
    assert made(client.post("/api/sets", json=asked, headers=ADAS))["episodes"] == 2


@pytest.mark.parametrize("odd", ["\0", "\u202e", "'; DROP TABLE datasets; --", "%", "../../etc", "lab/lift@1@2"])
def test_whatever_a_stranger_writes_is_refused_by_name_or_finds_nothing(shop, client, odd):
    ids = shop.stock(1)
    created(client, ids)
    for body in (
        {"name": odd},
        {"title": odd * 300},
        {"description": odd + "\0"},
        {"licence": odd},
        {"episodes": [odd]},
    ):
        answer = client.post("/api/sets", json={"name": "lab/new", **LIFT, "episodes": ids, **body}, headers=ADAS)
        assert answer.status_code in (404, 422), (body, answer.text)
    refused(client.post("/api/sets/lab/lift/merge", json={"with": odd}, headers=ADAS), 404, "unknown_dataset")
    refused(client.post("/api/sets/lab/lift/withdraw", json={"episodes": [odd]}, headers=ADAS), 422, "not_in_dataset")
    assert client.get("/api/sets", params={"query": odd}).json()["sets"] == []
    assert client.get("/api/sets", params={"task": odd}).json()["sets"] == []
    refused(client.get("/api/sets", params={"after": odd}), 422, "cursor")
    refused(client.get("/api/sets/lab/lift/versions/99999999999999999999"), 404, "unknown_dataset")
    assert client.get("/api/sets/lab/lift").json()["versions"] == 1


def test_the_shelf_is_read_page_by_page_by_words_and_by_task(shop, client):
    lifts, pushes = shop.stock(2), shop.stock(1, first=10, task="push")
    for at in range(5):
        created(client, lifts if at % 2 else pushes, f"lab/set-{at}", description=f"Of 100 % of {at} cubes")
    made(client.post("/api/sets/lab/set-1/append", json={"episodes": pushes}, headers=ADAS))
    first = client.get("/api/sets", params={"limit": 3}).json()
    rest = client.get("/api/sets", params={"limit": 3, "after": first["next"]}).json()
    names = [one["name"] for one in (*first["sets"], *rest["sets"])]
    assert (names, rest["next"]) == (["lab/set-1", "lab/set-4", "lab/set-3", "lab/set-2", "lab/set-0"], None)
    assert (first["sets"][0]["version"], first["sets"][0]["versions"]) == (2, 2)

    def found(**query: str) -> list[str]:
        return [one["name"] for one in client.get("/api/sets", params=query).json()["sets"]]

    assert found(query="100 % CUBES 3") == ["lab/set-3"]
    assert found(task="lift") == ["lab/set-1", "lab/set-3"]
    assert found(task="lift", query="set-1") == ["lab/set-1"]
