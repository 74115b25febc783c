"""Promises of what is given out of the tables: whole versions, and none with an episode that was withdrawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rewards.hub.exports.shelved import ShelvedVersions
from tests.rewards.hub.datasets.shop import LIFT, opened

pytestmark = pytest.mark.usefixtures("either_database")
ADA = {"Authorization": "Bearer ada"}


def posted(client: TestClient, path: str, **body: object) -> None:
    answer = client.post(path, json=body, headers=ADA)
    assert answer.is_success, answer.text


def test_a_version_is_the_document_that_its_digest_names(tmp_path: Path) -> None:
    shop = opened(tmp_path)
    ids = shop.stock(3)
    versions = ShelvedVersions(shop.database)
    with shop.served() as client:
        posted(client, "/api/sets", name="lab/lift", **LIFT, episodes=ids[:2])
        posted(client, "/api/sets/lab/lift/append", episodes=ids[2:], reason="more")
        for number in (1, 2):
            found = versions.version("lab/lift", number)
            assert found is not None
            path = f"/api/sets/lab/lift/versions/{number}"
            assert found.encode() == client.get(f"{path}/document").content
            assert found.digest == client.get(path).json()["digest"]
        assert versions.newest("lab/lift") == versions.version("lab/lift", 2)
    for name, number in (("lab/lift", 3), ("lab/none", 1), ("lab/lift@1", 1), ("../x", 1), ("lab/lift", 0)):
        assert versions.version(name, number) is None
    assert versions.newest("lab/lift@1") is None


def test_a_version_that_has_a_withdrawn_episode_is_told_from_those_before_and_after(tmp_path: Path) -> None:
    shop = opened(tmp_path)
    ids = shop.stock(3)
    versions = ShelvedVersions(shop.database)
    with shop.served() as client:
        posted(client, "/api/sets", name="lab/lift", **LIFT, episodes=ids[:1])
        posted(client, "/api/sets/lab/lift/append", episodes=ids[1:2], reason="more")
        posted(client, "/api/sets/lab/lift/append", episodes=ids[2:], reason="more")
        posted(client, "/api/sets", name="lab/other", **LIFT, episodes=ids[:1])
        before = [versions.version("lab/lift", number) for number in (1, 2, 3)] + [versions.newest("lab/other")]
        digests = [one.digest for one in before if one is not None]
        assert versions.withdrawn(digests) == frozenset()
        posted(client, f"/api/episodes/{ids[1]}/withdraw", reason="it shows my desk")
        newest = versions.newest("lab/lift")
        assert newest is not None
        assert newest.version == 4
        assert versions.withdrawn([*digests, newest.digest, "0" * 64]) == frozenset(digests[1:3])
        assert versions.withdrawn([]) == frozenset()
