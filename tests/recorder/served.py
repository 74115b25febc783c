"""A small hub for tests: this room's intake and API over a real database, and a real server where sockets matter."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from sqlalchemy import Engine

from recorder.hub.api import body_bytes_max, make_router
from recorder.hub.catalogue import Catalogue
from recorder.hub.intake import Intake
from recorder.hub.log import Log
from recorder.hub.readers import Readers
from recorder.hub.records import Records
from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects
from recorder.hub.store.opening import Sealing, in_bucket, in_folder, sealing
from recorder.hub.uploads import IDLE_S, Uploads
from recorder.proof.case import Replayer, Ticket
from rewards.hub.search import Search
from rewards.hub.search_api import router as search_router
from teleop.hub import errors
from teleop.hub.accounts import NotSignedInError
from teleop.hub.db import open_database, open_engine
from teleop.hub.server.bodies import BodyLimit
from tests.databases import migrated, url_below
from tests.recorder.bundles import LOG_KEY
from tests.recorder.factory import DOMAIN, HUB, ROBOT, WALLET, fake_start, fixed_key

OWNER = fixed_key("owner of all robots here")


def ticket_of(episode: str, **changes: Any) -> Ticket:
    """Return the ticket that the factory's episode of this id answers."""
    values = {"robot": ROBOT.address, "operator": WALLET.address, "task": "lift", "seed": 7}
    return Ticket(episode=episode, nonce=fake_start(episode).nonce, **(values | changes))


@dataclass
class OpenDoor:
    """Access for tests: the token is the address itself."""

    tickets: dict[str, Ticket] = field(default_factory=dict)

    def operator(self, request: Request) -> str:
        """Return the address in the token."""
        return self.host(request)

    def host(self, request: Request) -> str:
        """Return the address in the token."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not token.startswith("0x"):
            raise NotSignedInError("expected a bearer token")
        return token

    def owner(self, robot: str) -> str | None:
        """Return the one owner of all robots here."""
        return OWNER.address if robot == ROBOT.address else None

    def ticket(self, episode: str) -> Ticket | None:
        """Return a ticket that was given out."""
        return self.tickets.get(episode)


class Hub:
    """One hub below one folder; restarting it is making another over the same folder."""

    def __init__(
        self,
        folder: Path,
        *,
        replay: Replayer | None = None,
        executor: Executor | None = None,
        idle_s: float = IDLE_S,
        database_folder: Path | None = None,
        objects: Objects | None = None,
        private: bool = False,
    ) -> None:
        """`objects`: the bucket that files are kept in; `database_folder`: that of another hub, to be a second one.

        `private`: whether it seals what is private.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.engine: Engine = open_engine(url_below(database_folder or folder, "hub"))
        migrated(self.engine)
        self.database = open_database(self.engine)
        clock = itertools.count(1_750_000_200_000)
        self.log = Log(LOG_KEY)
        self.records = Records(self.database, self.log, DOMAIN, HUB, lambda: next(clock))
        if objects is None:
            files = in_folder(folder / "episodes", folder / "uploads")
        else:
            cache = Cache(folder / "cache")
            files = in_bucket(objects, self.database, cache, lambda: next(clock), folder / "episodes")
        if private:
            places = Sealing(folder / "keys" / "episodes.key", Cache(folder / "plain"))
            files = sealing(files, self.database, places, lambda: next(clock))
        self.store: Any = files.store  # most tests know that it is a folder
        self.uploads = Uploads(files.pieces, self.database, lambda: next(clock), idle_s=idle_s)
        self.executor = executor or ThreadPoolExecutor(2)
        self.catalogue = Catalogue(self.database)
        self.door = OpenDoor()
        self.intake = Intake(
            records=self.records,
            store=self.store,
            uploads=self.uploads,
            domain=DOMAIN,
            executor=self.executor,
            replay=replay,
            private=files.private,
        )
        self.readers = Readers(self.database, lambda: next(clock))
        self.app = FastAPI()
        errors.install(self.app)
        self.app.add_middleware(BodyLimit, bytes_max=body_bytes_max(self.door))
        self.app.include_router(search_router(Search(self.database)))
        self.app.include_router(
            make_router(
                access=self.door,
                intake=self.intake,
                uploads=self.uploads,
                catalogue=self.catalogue,
                log=self.log,
                database=self.database,
                executor=self.executor,
                readers=self.readers,
                private=files.private,
            )
        )

    def begin(self, episode: str, **changes: Any) -> None:
        """Ask for an episode."""
        self.door.tickets[episode] = ticket_of(episode, **changes)

    def close(self) -> None:
        """Let go of the database and the workers."""
        self.executor.shutdown()
        self.engine.dispose()

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve on a free port of this machine; yield the base URL."""
        with serving(self.app) as url:
            yield url


@contextmanager
def serving(app: FastAPI, port: int = 0) -> Iterator[str]:
    """Serve an application, on a free port of this machine if none is named; yield the base URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", ws="none"))
    started = threading.Event()
    original = server.startup

    async def startup(*args: Any, **kwargs: Any) -> None:
        await original(*args, **kwargs)
        started.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        assert started.wait(20)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


def as_host(client_of: str, **headers: str) -> dict[str, str]:
    """Return the headers of a robot's or an operator's request."""
    return {"Authorization": f"Bearer {client_of}", "Tus-Resumable": "1.0.0", **headers}


def bearer(address: str) -> dict[str, str]:
    """Return a signed-in wallet's header."""
    return {"Authorization": f"Bearer {address}"}


def code(answer: httpx.Response) -> tuple[int, str]:
    """Return the status, and the gate or else the code by which a request was refused."""
    error = answer.json()["error"]
    if "gate" in error:
        assert error["code"] == "refused"
    return answer.status_code, error.get("gate", error["code"])
