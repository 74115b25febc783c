"""What wallets are asked to sign for: one place that browsers reach, and never every address of a machine."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from armshare.migrations import migrate
from armshare.platform.processes import listening
from armshare.public_url import is_every_address
from armshare.settings import Settings
from teleop.hub.accounts import Accounts
from teleop.hub.db import open_database, open_engine
from teleop.identity import new_key
from tests.armshare.command import armshare_here


@pytest.mark.parametrize(
    ("given", "url", "path"),
    [
        ({}, "http://127.0.0.1:8000", ""),
        ({"host": "::1"}, "http://[::1]:8000", ""),
        ({"host": "[::1]", "port": 9000}, "http://[::1]:9000", ""),
        ({"host": "0.0.0.0", "public_url": "https://example.org/arms/"}, "https://example.org/arms", "/arms"),
        ({"host": "::", "public_url": "http://[2001:db8::7]:8000"}, "http://[2001:db8::7]:8000", ""),
        ({"public_url": "https://example.org"}, "https://example.org", ""),
    ],
)
def test_a_hub_has_one_url(given, url, path):
    settings = Settings(**given)
    assert (settings.url, settings.path) == (url, path)


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_is_listened_on_with_and_without_brackets(host):
    with listening(host, 0) as listener:
        url = Settings(host=host, port=listener.getsockname()[1]).url
        with socket.create_connection(("::1", urlsplit(url).port), timeout=5):
            assert urlsplit(url).hostname == "::1"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "", "0:0:0:0:0:0:0:0"])
def test_a_hub_on_every_address_must_be_told_its_url(host):
    assert is_every_address(host)
    with pytest.raises(ValidationError, match="give --public-url, for example http://"):
        Settings(host=host)


@pytest.mark.parametrize(
    "url",
    [
        "http://0.0.0.0:8000",
        "https://[::]/arms",
        "example.org",
        "ftp://example.org",
        "http://::1:8000",
        "https://",
        "https://example.org/?a",
        "https://example.org/#a",
        "https://me@example.org",
        "https://example.org/api",
        "https://example.org/static/arms",
    ],
)
def test_what_is_no_public_url_is_refused(url):
    with pytest.raises(ValidationError):
        Settings(public_url=url)


@pytest.mark.parametrize("url", ["https://example.org/arms", "http://[::1]:8000"])
def test_the_message_to_sign_names_that_place(tmp_path, url):
    engine = open_engine(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    migrate(engine)
    _nonce, text = Accounts(open_database(engine), Settings(public_url=url).url, 1).challenge(new_key().address)
    engine.dispose()
    assert text.startswith(f"{url.split('/')[2]} wants you to sign in")
    assert f"\nURI: {url}\n" in text


def test_the_command_line_says_what_to_give(tmp_path: Path):
    done = armshare_here("hub", "--data", str(tmp_path / "data"), "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "ARMSHARE_PUBLIC_URL" in done.stderr
    assert "give --public-url, for example http://" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("hub", ["http://::1:8000", "example.org", "http://[::1", "http://example.org:port"])
def test_a_hub_that_cannot_be_named_so_is_refused_with_an_example(hub, tmp_path):
    done = armshare_here("drive", "--hub", hub, "--unsigned", "--key", str(tmp_path / "key"))
    assert done.returncode == 2
    assert "http://[::1]:8000" in " ".join(done.stderr.replace("│", " ").split())


def test_a_file_that_is_no_authority_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("ARMSHARE_CA", "")
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    done = armshare_here("drive", "--ca", str(file), "--unsigned", "--key", str(tmp_path / "key"))
    assert done.returncode == 2
    assert "holds no certificates" in " ".join(done.stderr.replace("│", " ").split())
