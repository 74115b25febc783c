"""Real proxies before a hub, as `docs/operating.md` has them; only addresses and certificates are the test's."""

from __future__ import annotations

import fcntl
import getpass
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Final

from tests.certificates import Certificates

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "operating.md"
INSTALLED: Final = ["nginx", *(["caddy"] if shutil.which("caddy") else [])]
"""nginx is set up by `make test`; Caddy's example is run too if the machine has it."""
START_S: Final = 20.0


def example(kind: str) -> str:
    """Return the document's example of one proxy."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


_BELOW_THE_SYSTEMS: Final = range(20_000, 32_000)
"""Ports that a system gives to nobody who asks for any, and to no connection (Linux begins at 32,768)."""
_ours: Final[set[int]] = set()


def free_port() -> int:
    """Return a port that is free, and stays ours: no other test process on this machine is given it meanwhile.

    For a program that takes no socket that is open already, such as a proxy. Raises OSError if there is no such port.
    """
    for port in random.sample(_BELOW_THE_SYSTEMS, len(_BELOW_THE_SYSTEMS)):
        if port in _ours:
            continue
        with suppress(OSError):
            fcntl.lockf(_given(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            with socket.create_server(("127.0.0.1", port)):
                _ours.add(port)
                return port
    raise OSError(f"no port in {_BELOW_THE_SYSTEMS} is free")


@cache
def _given() -> IO[bytes]:
    """Return the file in which a process locks a byte for each of its ports, for as long as it lives."""
    return (Path(tempfile.gettempdir()) / f"armshare-test-ports-{os.getuid()}").open("ab")


@contextmanager
def proxy(kind: str, folder: Path, port: int, hub_port: int, certificates: Certificates) -> Iterator[None]:
    """Run nginx or Caddy as the document says, at https://localhost:port, before the hub at `hub_port`."""
    folder.mkdir(parents=True)
    command = (_nginx if kind == "nginx" else _caddy)(folder, port, hub_port, certificates)
    with (folder / "log").open("wb") as log:
        home = {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=home)
        try:
            _wait_until_it_answers(port, certificates, process, folder / "log")
            yield
        finally:
            process.terminate()
            process.wait(20)


def _nginx(folder: Path, port: int, hub_port: int, certificates: Certificates) -> list[str]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise FileNotFoundError("nginx is missing, for the tests behind a proxy: apt-get install nginx")
    site = example("nginx").replace("http://127.0.0.1:8000", f"http://127.0.0.1:{hub_port}")
    site = site.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace("    listen [::]:443 ssl;\n", "")
    site = re.sub(r"ssl_certificate .*;", f"ssl_certificate {certificates.certificate};", site)
    site = re.sub(r"ssl_certificate_key .*;", f"ssl_certificate_key {certificates.key};", site)
    site = site.replace("example.org", "localhost")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{name}_temp_path {folder / name};" for name in kinds)
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""  # who may read this folder
    main = f"{user} daemon off; pid {folder / 'pid'}; error_log stderr; events {{}}\n"
    (folder / "nginx.conf").write_text(f"{main}http {{ access_log off; {temporary}\n{site}\n}}\n")
    return [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def _caddy(folder: Path, port: int, hub_port: int, certificates: Certificates) -> list[str]:
    site = example("caddy").replace("127.0.0.1:8000", f"127.0.0.1:{hub_port}")
    tls = f"    tls {certificates.certificate} {certificates.key}\n"
    site = site.replace("example.org {\n", f"https://localhost:{port} {{\n{tls}")
    (folder / "Caddyfile").write_text("{\n    admin off\n    auto_https disable_redirects\n}\n" + site)
    return [str(shutil.which("caddy")), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def _wait_until_it_answers(port: int, certificates: Certificates, process: subprocess.Popen[bytes], log: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificates.authority))
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname="localhost"),
            ):
                return
        except OSError:
            process_ends_within(process, 0.05)
    raise TimeoutError(f"the proxy did not answer within {START_S} s: {log.read_text()}")


def process_ends_within(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Return whether a process ends within that time."""
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True
