"""A real NATS server from the package index, on a free port, which takes nothing from whoever has no password."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

START_S: Final = 30.0
_USER: Final = "hubs"
_PASSWORD: Final = "of-a-test"


class Nats:
    """One server."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "nats.conf"
        user = f'authorization {{ user: "{_USER}", password: "{_PASSWORD}" }}'
        config.write_text(f'listen: "127.0.0.1:-1"\nports_file_dir: "{folder}"\n{user}\n')
        program = Path(sys.executable).parent / "nats-server"
        with (folder / "nats.log").open("wb") as log:
            self.process = subprocess.Popen([program, "-c", config], stdout=log, stderr=log)
        self.address = self._listening(folder / f"nats-server_{self.process.pid}.ports")

    @property
    def url(self) -> str:
        """Where hubs reach it, with the password."""
        return f"nats://{_USER}:{_PASSWORD}@{self.address}"

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(START_S)

    def _listening(self, ports: Path) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if ports.exists() and (text := ports.read_text()):
                return str(json.loads(text)["nats"][0]).removeprefix("nats://")
            if self.process.poll() is not None:
                break
            try:
                self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        self.stop()
        raise TimeoutError("the NATS server did not start")


@contextmanager
def nats(folder: Path) -> Iterator[Nats]:
    """Yield a server that runs."""
    server = Nats(folder)
    try:
        yield server
    finally:
        server.stop()
