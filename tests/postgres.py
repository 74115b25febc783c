"""A PostgreSQL server of a test's own: a cluster in a temporary folder, reached by a Unix socket, gone with the test.

`make postgres` installs the program. It refuses to run as root, so root runs it as `postgres`, or as `nobody`.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import psycopg

USER: Final = "armshare"
START_S: Final = 60.0
_FAST: Final = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
"""Nothing of a test's has to outlive the machine."""
_READY: Final = "ready to accept connections"


class PostgresError(Exception):
    """The server is not installed, or did not start."""


class Postgres:
    """One server; it can be stopped and started again, and keeps its databases meanwhile."""

    def __init__(self, folder: Path, account: str | None, extra: Sequence[str] = _FAST) -> None:
        """`account`: who runs it, if that is not whoever runs the test."""
        self._folder, self._account, self._extra = folder, account, extra
        self._said: deque[str] = deque(maxlen=50)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._names = itertools.count()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        socket = ("-k", str(self._folder), "-c", "listen_addresses=", "-c", "max_connections=200")
        command = [_program("postgres"), "-D", str(self._folder / "data"), *socket, *self._extra]
        self._process = subprocess.Popen(
            [*_as(self._account), *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_env()
        )
        assert self._process.stderr is not None
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr, ready), daemon=True)
        self._reader.start()
        if not ready.wait(START_S) or self._process.poll() is not None:
            raise PostgresError("PostgreSQL did not start:\n" + "\n".join(self._said))

    def stop(self) -> None:
        """End it, as a machine that goes down does: those who are connected lose their connection."""
        if self._process is not None:
            self._process.send_signal(2)  # SIGINT: a fast shutdown
            self._process.wait(START_S)
            self._process = None
        if self._reader is not None:
            self._reader.join(START_S)
            self._reader = None

    @property
    def process_id(self) -> int:
        """The server's process, whose children serve the connections."""
        if self._process is None:
            raise PostgresError("the server does not run")
        return self._process.pid

    def url(self, name: str) -> str:
        """Return a database's URL, as a person writes it."""
        return f"postgresql://{USER}@/{name}?host={self._folder}"

    def create(self, template: str = "template1") -> str:
        """Make a database, as empty as its template or as full, and return its name."""
        name = f"d{next(self._names)}"
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def run(self, statement: str) -> None:
        """Run a statement that is about databases."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _read(self, lines: IO[str], ready: threading.Event) -> None:
        with lines:
            for line in lines:
                self._said.append(line.rstrip())
                if _READY in line:
                    ready.set()
        ready.set()


@contextmanager
def postgres(extra: Sequence[str] = _FAST) -> Iterator[Postgres]:
    """Yield a server that runs, with a fresh cluster."""
    account = _account()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not pytest's: another account cannot look in there
    try:
        if account is not None:
            os.chown(folder, *_ids(account))
        making = [_program("initdb"), "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
        made = subprocess.run(
            [*_as(account), *making, "--locale=C.UTF-8"], capture_output=True, text=True, env=_env(), check=False
        )
        if made.returncode:
            raise PostgresError(f"initdb failed: {made.stderr}")
        server = Postgres(folder, account, extra)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    """Return one of PostgreSQL's programs; Debian keeps them beside each other, away from the path."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = shutil.which(name) or (str(beside[-1]) if beside else None)
    if found is None:
        raise PostgresError(f"{name} is missing: apt-get install postgresql, or make postgres")
    return str(Path(found).resolve())


def _account() -> str | None:
    if os.getuid():
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _ids(account: str) -> tuple[int, int]:
    found = pwd.getpwnam(account)
    return found.pw_uid, found.pw_gid


def _as(account: str | None) -> list[str]:
    """Return what runs a command as another account; it ends with whoever started it, however that ends."""
    user, group = _ids(account) if account else (os.getuid(), os.getgid())
    ids = ["--reuid", str(user), "--regid", str(group), "--clear-groups"] if account else []
    return ["setpriv", *ids, "--pdeathsig", "INT", "--"]


def _env() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
