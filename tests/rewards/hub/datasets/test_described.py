"""Promises of what catalogues read: a version in Croissant over HTTP, loaded by mlcroissant, and its table."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rewards.datasets.croissant import table
from rewards.hub.datasets.described import router
from tests.proxies import free_port
from tests.recorder.served import serving
from tests.rewards.hub.datasets.shop import Shop, opened
from tests.rewards.hub.datasets.test_api import created, refused
from tests.rewards.world import ADA

_LOAD = """
import json, sys, mlcroissant
found = mlcroissant.Dataset(sys.argv[1]).records("episodes")
print(json.dumps([[one["episodes/episode"].decode(), int(one["episodes/bytes"])] for one in found]))
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = opened(tmp_path)
    yield made
    made.database.kw["bind"].dispose()


def described(shop: Shop, url: str) -> TestClient:
    """Return a client whose hub calls itself by an address."""
    with shop.served() as client:
        client.app.include_router(router(shop.database, url))
        return client


def loaded(url: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Let mlcroissant download and read a version, as a stranger would."""
    command = [sys.executable, "-c", _LOAD, f"{url}/api/sets/lab/lift/versions/1/croissant.json"]
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_mlcroissant_downloads_and_reads_a_version_and_refuses_another_table(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    client = described(shop, url)
    ids = shop.stock(3)
    created(client, ids)
    with serving(client.app, port):
        found = loaded(url, tmp_path / "one")
        assert json.loads(found.stdout) == [[one, 1000] for one in ids], found.stderr
        monkeypatch.setattr("rewards.hub.datasets.described.table", lambda rows: table(rows).replace(b"lift", b"push"))
        refused_it = loaded(url, tmp_path / "two")
        assert refused_it.returncode != 0
        assert "Hash of downloaded file" in refused_it.stderr


def test_the_table_says_who_made_each_episode_and_stays_as_it_is(shop: Shop):
    client = described(shop, "https://arms.example")
    ids = shop.stock(2, success=None, steps=7)
    created(client, ids)
    answer = client.get("/api/sets/lab/lift/versions/1/episodes.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["episode"], row["operator"], row["success"], row["steps"]) for row in rows] == [
        (one, ADA, "", "7") for one in ids
    ]
    assert rows[0]["url"] == f"https://arms.example/api/episodes/{ids[0]}/files/episode.h5"
    assert "immutable" in answer.headers["Cache-Control"]
    shop.consent.withdraw(ids[1], ADA, "")
    assert client.get("/api/sets/lab/lift/versions/1/episodes.csv").content == answer.content
    assert len(client.get("/api/sets/lab/lift/versions/2/episodes.csv").text.splitlines()) == 2


@pytest.mark.parametrize("name", ["croissant.json", "episodes.csv"])
def test_what_there_is_not_is_said(shop: Shop, name: str):
    client = described(shop, "https://arms.example")
    refused(client.get(f"/api/sets/lab/lift/versions/1/{name}"), 404, "unknown_dataset")
    created(client, shop.stock(1))
    assert client.get(f"/api/sets/lab/lift/versions/1/{name}").status_code == 200
    refused(client.get(f"/api/sets/lab/lift/versions/2/{name}"), 404, "unknown_dataset")
