"""Reaching a hub: below a path, by IPv6, and by a certificate of an authority that only its owner knows."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleop.dialing import CA, AuthorityError, tls_of, trust, trusted, websocket_url
from tests.certificates import Certificates, make_certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (CA, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "")  # so that it is put back, whatever a test makes of it
        monkeypatch.delenv(name)


@pytest.fixture
def port(certificates: Certificates) -> Iterator[int]:
    """A server with the private authority's certificate, which takes one connection after another."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(connection, server_side=True) as secure:
                        secure.sendall(b"hello")
                except OSError:
                    connection.close()  # the client did not trust us

        serving = threading.Thread(target=serve)
        serving.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        serving.join(10)


def hears(port: int) -> bytes:
    """Connect as a client of a hub does."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        trusted().wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return secure.recv(5)


def test_a_private_authority_is_not_trusted_unasked(port: int) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        hears(port)


@pytest.mark.parametrize("name", [CA, "SSL_CERT_FILE"])
def test_a_private_authority_is_trusted_by_the_environment(
    port: int, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(certificates.authority))
    assert hears(port) == b"hello"


def test_a_private_authority_is_trusted_by_a_file_here_and_in_processes_that_follow(
    port: int, certificates: Certificates
) -> None:
    trust(certificates.authority)
    assert hears(port) == b"hello"
    assert os.environ[CA] == str(certificates.authority)


@pytest.mark.parametrize("text", [None, "no certificate", ""])
def test_a_file_without_certificates_is_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "authority.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(AuthorityError, match=r"authority\.pem holds no certificates"):
        trust(file)


def test_the_context_is_made_once() -> None:
    assert trusted() is trusted()
    assert tls_of("wss://example.org/ws/drive") is trusted()
    assert tls_of("ws://example.org/ws/drive") is None


@pytest.mark.parametrize(
    ("hub", "url"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/ws/drive"),
        ("http://127.0.0.1:8000/", "ws://127.0.0.1:8000/ws/drive"),
        ("https://example.org/arms", "wss://example.org/arms/ws/drive"),
        ("https://http.example.org", "wss://http.example.org/ws/drive"),
        ("http://[::1]:8000", "ws://[::1]:8000/ws/drive"),
    ],
)
def test_a_websocket_is_below_its_hub(hub: str, url: str) -> None:
    assert websocket_url(hub, "/ws/drive") == url
