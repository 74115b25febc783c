"""Promises of the page's files: compressed once by the build, sent as they lie on disk, kept by browsers for good."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from armshare.platform.built import FOLDER as DIST
from armshare.platform.page import ASK, FOREVER
from tests.conftest import House

SUFFIX = {"br": ".br", "gzip": ".gz"}
FILES = sorted(file for file in DIST.rglob("*") if file.is_file() and file.suffix not in SUFFIX.values())
CHANGED = "Wed, 21 Oct 2015 07:28:00 GMT"


def address(file: Path) -> str:
    """Return where the hub serves a file of the page."""
    return "/" + file.relative_to(DIST).as_posix()


def raw(client: httpx.Client, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """Return an answer, and its bytes as they came over the wire."""
    with client.stream("GET", path, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.fixture(scope="module")
def client(house: House) -> Iterator[httpx.Client]:
    """A client of a real hub."""
    with httpx.Client(base_url=house.url, timeout=30) as made:
        yield made


def decoded(file: Path) -> bytes:
    """Return what an encoded file says, by a decoder that is not ours."""
    if file.suffix == ".gz":
        return gzip.decompress(file.read_bytes())
    unpack = "process.stdout.write(require('node:zlib').brotliDecompressSync(require('node:fs').readFileSync(0)))"
    return subprocess.run(["node", "-e", unpack], input=file.read_bytes(), stdout=subprocess.PIPE, check=True).stdout


def test_every_encoded_file_decodes_to_its_original():
    encoded = [file for file in DIST.rglob("*") if file.suffix in SUFFIX.values()]
    assert all(decoded(file) == file.with_suffix("").read_bytes() for file in encoded)
    code = {file for file in FILES if file.suffix in (".js", ".css", ".html")}
    assert {file.with_suffix("") for file in encoded} >= code, "all of the page's code is encoded"


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_a_page_load_costs_no_compression_what_is_sent_is_the_file_on_disk(client, coding):
    for file in FILES:
        built = file.with_name(file.name + SUFFIX[coding])
        answer, body = raw(client, address(file), **{"Accept-Encoding": coding})
        assert body == (built if built.exists() else file).read_bytes(), file.name
        assert answer.headers.get("content-encoding") == (coding if built.exists() else None)
        assert answer.headers["content-length"] == str(len(body))
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-type"].split(";")[0] not in ("application/gzip", "application/octet-stream")


def test_no_answer_of_the_api_is_compressed(client):
    answer, body = raw(client, "/api/protocol", **{"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in answer.headers
    assert len(body) > 2000
    assert "content-encoding" not in raw(client, "/openapi.json", **{"Accept-Encoding": "gzip, br"})[0].headers


def test_named_files_are_kept_for_good_and_the_page_itself_is_asked_for_again(client):
    for file in FILES:
        kept = FOREVER if file.parent.name == "static" else ASK
        assert client.head(address(file)).headers["cache-control"] == kept
    assert client.get("/").headers["cache-control"] == ASK


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("br; Q=0.0, GZIP", "gzip"),
        ("identity", None),
        ("", None),
        ("brotli, xgzip", None),
        ("gzip;q=0", None),
    ],
)
def test_a_client_gets_only_a_coding_that_it_takes(client, asked, sent):
    answer, _ = raw(client, "/index.html", **{"Accept-Encoding": asked})
    assert answer.headers.get("content-encoding") == sent


@pytest.mark.parametrize("coding", ["br", "gzip", "identity"])
def test_a_client_that_has_the_file_is_sent_no_bytes(client, coding):
    first, body = raw(client, "/index.html", **{"Accept-Encoding": coding})
    for header, name in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified")):
        again, nothing = raw(client, "/index.html", **{"Accept-Encoding": coding, header: first.headers[name]})
        assert (again.status_code, nothing) == (304, b"")
        assert (again.headers["etag"], again.headers["vary"]) == (first.headers["etag"], "Accept-Encoding")
    other, _ = raw(client, "/index.html", **{"Accept-Encoding": coding, "If-None-Match": '"another"'})
    assert other.status_code == 200
    older, whole = raw(client, "/index.html", **{"Accept-Encoding": coding, "If-Modified-Since": CHANGED})
    assert (older.status_code, whole) == (200, body)


def test_each_coding_has_an_etag_of_its_own(client):
    tags = {
        raw(client, "/index.html", **{"Accept-Encoding": coding})[0].headers["etag"] for coding in ("br", "gzip", "")
    }
    assert len(tags) == 3


def test_a_range_is_of_the_bytes_that_are_sent(client):
    file = next(one for one in FILES if one.suffix == ".css")
    built = file.with_name(file.name + ".br").read_bytes()
    asked = {"Accept-Encoding": "br", "Range": "bytes=10-19"}
    answer, part = raw(client, address(file), **asked)
    assert (answer.status_code, part) == (206, built[10:20])
    assert (answer.headers["content-range"], answer.headers["content-encoding"]) == (f"bytes 10-19/{len(built)}", "br")
    changed, whole = raw(client, address(file), **asked, **{"If-Range": '"another"'})
    assert (changed.status_code, whole) == (200, built)


def test_an_encoded_file_is_not_a_page_of_its_own(client):
    answer = client.get("/index.html.br")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "http_404")
