"""Whether `armshare fetch` takes as long as it has episodes: from a real server, over a socket of this machine.

The hub's own routes (search, bundles) with a database and a store of small episodes serve in a process of their own;
this one runs the code of `armshare fetch` into an empty folder, for a growing number of episodes. `fetches`: for each
number, medians of `--runs`: `seconds` by the clock, `client_core_ms` and `server_core_ms` of a core. `exponent`: the
slope of a line through the logarithms of the number and of the time (`seconds`), or of both processes' work
(`core_exponent`); 1 is linear, 2 would be quadratic.

    .venv/bin/python benchmarks/fetch.py --json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from sqlalchemy import insert

NUMBERS: Final = (50, 100, 200, 400)
KILOBYTES: Final = 200
GOLDEN: Final = Path(__file__).parents[1] / "tests/recorder/golden/version-2/good"


def kept(folder: Path, count: int, kilobytes: int) -> Any:
    """Return an engine whose hub has so many verified episodes, with their bundles below `folder`."""
    from armshare.migrations import migrate
    from recorder.hub.states import EpisodeState
    from recorder.hub.tables import EpisodeRow
    from recorder.proof.bundle import BUNDLE_FILES, MANIFEST_FILE
    from recorder.proof.manifest import EPISODE_FILE
    from teleop.hub.db import open_engine

    engine = open_engine(f"sqlite:///{folder / 'armshare.sqlite'}")
    migrate(engine)
    said, random, rows = json.loads((GOLDEN / MANIFEST_FILE).read_bytes()), np.random.default_rng(1), []
    for at in range(count):
        name, data = f"e{at:06}", random.bytes(1000 * kilobytes)
        sha256, bundle = hashlib.sha256(data).hexdigest(), folder / "episodes" / name
        bundle.mkdir(parents=True)
        for file in BUNDLE_FILES:
            if file != EPISODE_FILE:
                shutil.copyfile(GOLDEN / file, bundle / file)
        (bundle / EPISODE_FILE).write_bytes(data)
        files = [{"name": EPISODE_FILE, "sha256": sha256, "size": len(data)}]
        manifest = json.dumps({**said, "episode": name, "files": files}, separators=(",", ":"), sort_keys=True)
        (bundle / MANIFEST_FILE).write_text(manifest)
        same = {"robot": "0xR", "operator": "0xO", "task": "lift", "state": EpisodeState.VERIFIED}
        rows.append({**same, "episode": name, "created_ms": at, "sha256": sha256, "size": len(data)})
    with engine.begin() as connection:
        connection.execute(insert(EpisodeRow), rows)
    return engine


def serve(told: Connection, folder: Path, count: int, kilobytes: int) -> None:
    """Serve until told to end; say the port once it listens."""
    import uvicorn
    from fastapi import FastAPI

    from recorder.hub.catalogue import Catalogue
    from recorder.hub.store import FolderStore
    from rewards.hub.bundles import router as bundles_router
    from rewards.hub.search import Search
    from rewards.hub.search_api import router as search_router
    from teleop.hub import errors
    from teleop.hub.db import open_database
    from teleop.wire.messages import PROTOCOL

    database = open_database(kept(folder, count, kilobytes))
    app = FastAPI()
    errors.install(app)
    app.include_router(search_router(Search(database)))

    async def no_score(_episode: str) -> bytes | None:
        return None

    app.include_router(bundles_router(Catalogue(database), FolderStore(folder / "episodes"), no_score))
    config = {"protocol": PROTOCOL, "chain_id": 1, "vault": "0x", "hub": "0x", "log_public_key": ""}
    app.get("/api/config")(lambda: config)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))

    @app.get("/end")
    async def end() -> None:
        server.should_exit = True

    with server.config.bind_socket() as listener:
        listener.listen()  # whoever hears of it may ask at once
        told.send(listener.getsockname()[1])
        server.run([listener])


@contextmanager
def serving(folder: Path, count: int, kilobytes: int) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the URL of a server with so many episodes, and its process."""
    import httpx

    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, folder, count, kilobytes))
    process.start()
    theirs.close()
    url = f"http://127.0.0.1:{ours.recv()}"
    try:
        yield url, psutil.Process(process.pid)
    finally:
        httpx.get(f"{url}/end", trust_env=False)
        process.join()


def fetched(url: str, server: psutil.Process, folder: Path, count: int) -> dict[str, float]:
    """Fetch so many episodes into an empty folder; return what it took."""
    from armshare.researcher.downloading import Outcome
    from armshare.researcher.fetching import fetch

    begun, here_s, there_s = time.perf_counter(), time.process_time(), _worked_s(server)
    outcomes = [one.outcome for one in fetch(url, folder, {}, count)]
    if outcomes != [Outcome.FETCHED] * count:
        raise SystemExit(f"expected {count} episodes, got {outcomes}")
    return {
        "seconds": time.perf_counter() - begun,
        "client_core_ms": 1e3 * (time.process_time() - here_s),
        "server_core_ms": 1e3 * (_worked_s(server) - there_s),
    }


def _worked_s(process: psutil.Process) -> float:
    taken = process.cpu_times()
    return float(taken.user + taken.system)


def measured(numbers: Sequence[int], kilobytes: int, runs: int) -> dict[str, Any]:
    """Fetch each number of episodes, in turns."""
    with tempfile.TemporaryDirectory() as name, serving(Path(name), max(numbers), kilobytes) as (url, server):
        taken: dict[int, list[dict[str, float]]] = {number: [] for number in numbers}
        fetched(url, server, Path(name) / "first", min(numbers))  # loads what the first one needs
        for run in range(runs):
            for number in numbers:
                target = Path(name) / f"{run}-{number}"
                taken[number].append(fetched(url, server, target, number))
                shutil.rmtree(target)
    found = []
    for number, some in taken.items():
        middle = {key: statistics.median(one[key] for one in some) for key in some[0]}
        found.append({"episodes": number, **{key: round(value, 3) for key, value in middle.items()}})
    work = [one["client_core_ms"] + one["server_core_ms"] for one in found]
    return {
        "kilobytes": kilobytes,
        "runs": runs,
        "fetches": found,
        "exponent": _exponent(numbers, [one["seconds"] for one in found]),
        "core_exponent": _exponent(numbers, work),
        "core_ms_per_episode": round(work[-1] / numbers[-1], 2),
    }


def _exponent(numbers: Sequence[int], taken: Sequence[float]) -> float | None:
    if len(numbers) < 2:
        return None
    return round(float(np.polyfit(np.log(numbers), np.log(taken), 1)[0]), 3)


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--numbers", type=int, nargs="+", default=NUMBERS, help="of episodes")
    options.add_argument("--kilobytes", type=int, default=KILOBYTES, help="of each episode's file")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    found = measured(chosen.numbers, chosen.kilobytes, chosen.runs)
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
