"""Promises of the models' files: a request never waits for a compression, and what is sent is what lies on disk."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from teleop.hub.server import encoded
from teleop.hub.server.encoded import EncodedCache
from tests.teleop.served import served

MESH = b"v 0.125 0.25 0.5\n" * 4000


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    """Somebody else's file."""
    file = tmp_path / "package" / "link.obj"
    file.parent.mkdir()
    file.write_bytes(MESH)
    return file


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[EncodedCache]:
    """A cache below the data folder."""
    made = EncodedCache(tmp_path / "encoded")
    yield made
    made.close()


@pytest.fixture
def client(cache: EncodedCache, mesh: Path) -> Iterator[httpx.Client]:
    """An app that serves the file."""
    app = FastAPI()

    def link(request: Request) -> Response:
        return encoded.answer(mesh, cache.of(mesh), request.headers, {})

    app.add_api_route("/mesh", link)
    with served(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as made:
        yield made


def test_the_first_gets_the_file_as_it_is_and_the_next_the_encoded_one(client, cache, tmp_path):
    first = client.get("/mesh")
    assert ("content-encoding" in first.headers, first.content) == (False, MESH)
    cache.wait()
    with client.stream("GET", "/mesh") as second:
        (kept,) = (tmp_path / "encoded").iterdir()
        assert b"".join(second.iter_raw()) == kept.read_bytes()
    assert (second.headers["content-encoding"], gzip.decompress(kept.read_bytes())) == ("gzip", MESH)


def test_a_request_does_not_wait_for_the_compression(client, cache, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    compress = gzip.compress

    def slow(*args, **kwargs):
        begun.set()
        assert go_on.wait(20)
        return compress(*args, **kwargs)

    monkeypatch.setattr(encoded.gzip, "compress", slow)
    assert client.get("/mesh").content == MESH
    assert begun.wait(20)
    assert "content-encoding" not in client.get("/mesh").headers
    go_on.set()
    cache.wait()
    assert client.get("/mesh").headers["content-encoding"] == "gzip"


def test_a_file_is_compressed_once_also_by_the_next_hub(cache, mesh, tmp_path, monkeypatch):
    cache.of(mesh)
    cache.wait()
    monkeypatch.setattr(encoded.gzip, "compress", None)
    again = EncodedCache(tmp_path / "encoded")
    assert again.of(mesh) == {}
    again.wait()
    assert again.of(mesh) == cache.of(mesh) != {}
    again.close()


def test_another_file_of_the_same_name_is_never_sent_as_the_old_one(client, cache, mesh):
    client.get("/mesh")
    cache.wait()
    mesh.write_bytes(MESH.replace(b"0.125", b"0.375"))
    os.utime(mesh, ns=(1, 1))
    for _ in range(2):
        assert client.get("/mesh").content == mesh.read_bytes()
        cache.wait()


def test_what_gets_hardly_smaller_is_sent_as_it_is(client, cache, mesh, tmp_path):
    mesh.write_bytes(os.urandom(5000))
    client.get("/mesh")
    cache.wait()
    assert ("content-encoding" in client.get("/mesh").headers, (tmp_path / "encoded").exists()) == (False, False)


def test_a_cache_that_cannot_be_written_or_was_emptied_costs_nothing_else(client, cache, tmp_path):
    (tmp_path / "encoded").write_text("in the way")
    assert client.get("/mesh").content == MESH
    cache.wait()
    assert client.get("/mesh").content == MESH
    (tmp_path / "encoded").unlink()
    os.utime(tmp_path / "package" / "link.obj", ns=(2, 2))
    client.get("/mesh")
    cache.wait()
    assert client.get("/mesh").headers["content-encoding"] == "gzip"
    next((tmp_path / "encoded").iterdir()).unlink()
    assert (client.get("/mesh").content, "content-encoding" in client.get("/mesh").headers) == (MESH, False)
