"""A long episode through nginx as it comes, with its limit of 1 MiB for a body."""

from __future__ import annotations

from pathlib import Path

import httpx

from armshare.platform.sub_path import SubPath
from recorder.host.uploader import PIECE_BYTES_MAX
from teleop.dialing import CA, trusted
from tests.certificates import make_certificates
from tests.proxies import example, free_port, proxy
from tests.recorder.host.test_uploader import names_in, states, uploader
from tests.recorder.host.test_uploader_pieces import (  # noqa: F401  fixtures
    MIB,
    recording,
    size_of,
    waiting,
)
from tests.recorder.served import Hub


def test_a_long_episode_arrives_through_nginx_as_it_comes(tmp_path: Path, waiting: Path, monkeypatch) -> None:  # noqa: F811  the fixture
    assert "client_max_body_size" not in example("nginx")
    assert PIECE_BYTES_MAX < MIB < size_of(waiting)
    certificates, port, hub = make_certificates(tmp_path / "tls"), free_port(), Hub(tmp_path / "hub")
    monkeypatch.setenv(CA, str(certificates.authority))
    hub.app.add_middleware(SubPath, path="/arms")
    hub.begin("long")
    with hub.served() as url:
        hub_port = httpx.URL(url).port or 0
        with proxy("nginx", tmp_path / "proxy", port, hub_port, certificates):
            base = f"https://localhost:{port}/arms"
            with httpx.Client(base_url=base, verify=trusted(), trust_env=False) as client:
                too_much = client.patch("/api/uploads/1", content=b"\0" * (MIB + 1))
                assert (too_much.status_code, "nginx" in too_much.text) == (413, True), "it is nginx, as it comes"
                assert uploader(waiting, client).upload_pending() == ["long"]
        assert states(url, "long") == ["uploaded"]
    hub.close()
    assert names_in(waiting / "uploaded") == ["long"]
