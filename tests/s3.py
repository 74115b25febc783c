"""A real S3 server for the tests that ask for one: SeaweedFS, on free ports of this machine, started once a session."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from recorder.hub.store.objects import Objects
from recorder.hub.store.store import StoreLostError
from tests.proxies import free_port

KEYS: Final = {"accessKey": "tests", "secretKey": "of the tests"}
START_S: Final = 60.0
_PORTS: Final = ("master", "volume", "filer", "s3", "admin")
_WITHOUT: Final = ("-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0")
Ports = dict[str, tuple[int, int]]


@dataclass
class S3:
    """A running server."""

    url: str
    filer: str
    process: subprocess.Popen[bytes]
    ports: Ports

    @property
    def environment(self) -> dict[str, str]:
        """Where it is and its keys, as every program expects them."""
        keys = {"AWS_ACCESS_KEY_ID": KEYS["accessKey"], "AWS_SECRET_ACCESS_KEY": KEYS["secretKey"]}
        return {**keys, "AWS_ENDPOINT_URL": self.url, "AWS_REGION": "us-east-1"}

    def bucket(self) -> str:
        """Make a bucket, and return its name."""
        name = f"episodes-{secrets.token_hex(4)}"
        self._ask("PUT", name)
        return name

    def drop(self, bucket: str) -> None:
        """Remove a bucket, with all that is in it, as whoever owns it may do by mistake."""
        self._ask("DELETE", name=bucket)

    def spoil(self, bucket: str, key: str, data: bytes) -> None:
        """Put other bytes in the place of an object's."""
        request = urllib.request.Request(f"{self.filer}/buckets/{bucket}/{key}", data, method="PUT")
        urllib.request.urlopen(request).close()

    def _ask(self, method: str, name: str) -> None:
        tail = "/" if method == "PUT" else "?recursive=true"
        urllib.request.urlopen(urllib.request.Request(f"{self.filer}/buckets/{name}{tail}", method=method)).close()


@contextmanager
def serving(folder: Path, ports: Ports | None = None) -> Iterator[S3]:
    """Yield a server of its own, which answers; end it. With its folder and its ports it goes on where it was."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "s3.json"
    identity = {"name": "tests", "credentials": [KEYS], "actions": ["Admin", "Read", "Write", "List"]}
    config.write_text(json.dumps({"identities": [identity]}))
    ports = ports or {name: (free_port(), free_port()) for name in _PORTS}
    listening = [f"-{name}.port{end}={ports[name][kind]}" for name in _PORTS for kind, end in enumerate(("", ".grpc"))]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("weed")),
                "-logtostderr",
                "mini",
                f"-dir={folder}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-s3.config={config}",
                "-s3.autoCreateBucket=false",
                "-master.telemetry=false",
                *_WITHOUT,
                *listening,
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = S3(f"http://127.0.0.1:{ports['s3'][0]}", f"http://127.0.0.1:{ports['filer'][0]}", process, ports)
    try:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in server.environment.items():
                environment.setenv(name, value)
            _wait_for(server, folder / "log")
            yield server
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(server: S3, log: Path) -> None:
    """Return once the server takes an object."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            Objects.at(f"s3://{server.bucket()}").put("x", b"x")
        except (OSError, StoreLostError) as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the S3 server does not answer ({error}):\n{log.read_text()[-2000:]}") from error
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server that every test of this worker shares, each with buckets of its own."""
    with serving(tmp_path_factory.mktemp("s3")) as server:
        yield server
