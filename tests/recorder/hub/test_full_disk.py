"""A hub whose disk is full answers 507 in words, keeps nothing half written, and goes on once there is room."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import httpx
from sqlalchemy.exc import OperationalError

from teleop.hub import full
from tests.recorder.bundles import sealed_bundle, sign_as_operator
from tests.recorder.disk import Disk
from tests.recorder.factory import DOMAIN, SESSION, WALLET
from tests.recorder.hub.test_api import append, create, seal
from tests.recorder.served import Hub, bearer, code


def test_an_episode_reaches_a_hub_through_a_full_disk(tmp_path: Path, hub: Hub, web: httpx.Client, monkeypatch) -> None:
    bundle, disk = sealed_bundle(tmp_path / "host"), Disk(monkeypatch)
    data = (bundle / "episode.h5").read_bytes()
    hub.begin(bundle.name)

    monkeypatch.setattr(full.shutil, "disk_usage", lambda _folder: type("Usage", (), {"free": full.RESERVE_BYTES}))
    refused = create(web, bundle.name, len(data))
    assert code(refused) == (507, "hub_full")
    assert "the hub's disk is full" in refused.json()["error"]["message"]
    assert list((tmp_path / "hub" / "uploads").iterdir()) == []
    monkeypatch.undo()

    disk = Disk(monkeypatch)
    location = create(web, bundle.name, len(data)).headers["Location"]
    disk.full = True
    assert code(append(web, location, 0, data)) == (507, "hub_full")
    disk.frees()
    again = append(web, location, len(data), b"")
    assert again.status_code == 204, "the upload is not locked, and has what arrived"

    disk.full = True
    assert code(seal(web, bundle, location)) == (507, "hub_full")
    assert not list((tmp_path / "hub" / "episodes").rglob("*.tmp"))
    disk.frees()
    assert seal(web, bundle, location).status_code == 202

    signature = sign_as_operator((bundle / "manifest.json").read_bytes(), SESSION, DOMAIN)
    body, asking = {"signature": signature}, bearer(WALLET.address)
    disk.full = True
    assert code(web.post(f"/api/episodes/{bundle.name}/signature", json=body, headers=asking)) == (507, "hub_full")
    disk.frees()
    done = web.post(f"/api/episodes/{bundle.name}/signature", json=body, headers=asking)
    assert done.status_code == 200
    assert web.get(f"/api/episodes/{bundle.name}/files/receipt.json").status_code == 200


def test_a_full_database_is_answered_in_words(hub: Hub, web: httpx.Client, monkeypatch) -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    monkeypatch.setattr(hub.catalogue, "get", lambda *_: (_ for _ in ()).throw(OperationalError("x", {}, error)))
    assert code(web.get("/api/episodes/any")) == (507, "hub_full")


def test_another_failure_of_the_disk_is_an_error_of_the_hubs(hub: Hub, web: httpx.Client, monkeypatch) -> None:
    monkeypatch.setattr(hub.catalogue, "get", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no")))
    assert code(web.get("/api/episodes/any")) == (500, "internal")
