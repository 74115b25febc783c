"""How fast a hub finds episodes among a hundred thousand: on SQLite and on PostgreSQL, in one run.

The rows are made straight in a hub's own tables, as its migrations make them: tasks, operators, robots, scores and
lengths as unevenly spread as they are, and a manifest and a receipt in each. PostgreSQL is started by this program, in
a temporary folder. Every question goes through the HTTP route, in this process: reading the words, the database, the
episodes themselves and their JSON.

`page_ms`: the next 200 episodes of a list, from its beginning and from its middle; `search_ms`: searches by one word
and by many, by what is frequent and by what there is not; `words_ms`: which values there are; `neighbours_ms`. Each is
a median of `--runs`; of each kind the worst question and the median one. `searches` has all of them. `processor_..` is
the same in time of a core, of this process and of PostgreSQL's together, which other load on the machine changes less.

    .venv/bin/python benchmarks/catalogue.py --json

It takes about three minutes, 1 GB of disk and 400 MB of memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, bindparam, insert, text, update
from sqlalchemy.orm import Session, sessionmaker

from armshare.migrations import migrate
from recorder.hub import motions
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow, MotionPathRow, MotionRow
from recorder.proof.checks.copies import Path as MotionPath
from recorder.proof.checks.paths import POINTS
from rewards.hub import searched
from rewards.hub.search import Search
from rewards.hub.search_api import router
from rewards.tables import PracticeRow, ScoreRow, SearchedRow
from teleop.hub import errors
from teleop.hub.db import open_database, open_engine
from teleop.identity import new_key
from teleop.wire.driver import DriverKind
from tests.postgres import postgres

BATCH: Final = 5000
BEGAN_MS: Final = 1_760_000_000_000
YEAR_MS: Final = 365 * 24 * 3_600_000
TASKS: Final = ("lift", "push", "pick_place", "reach", "stack", "drawer", "peg", "pour", "handover", "fetch", "sort")
MODELS: Final = ("panda", "so101", "dual_panda", "husky", "iiwa", "xarm")
STATES: Final = {
    EpisodeState.VERIFIED: 0.86,
    EpisodeState.REJECTED: 0.06,
    EpisodeState.DISCARDED: 0.04,
    EpisodeState.INVALID: 0.03,
    EpisodeState.UPLOADED: 0.01,
}
DRIVERS: Final = {DriverKind.PERSON: 0.85, DriverKind.SCRIPT: 0.1, DriverKind.POLICY: 0.05}
V3: Final = ("object_path", "order", "pace", "flow", "control")
V2: Final = ("path_efficiency", "smoothness", "idle", "tracking")
MANIFEST_BYTES: Final = 2500
"""Of a manifest as a host writes it."""
RECEIPT: Final = {"format": "armshare-receipt", "signature": "0x" + "5" * 130, "inclusion": ["0x" + "6" * 64] * 17}


class Rows:
    """Makes rows, the same for every database."""

    def __init__(self, count: int, seed: int = 1) -> None:
        random = self._random = np.random.default_rng(seed)
        self.count = count
        self.operators = [new_key().address for _ in range(400)]
        self.robots = [new_key().address for _ in range(60)]
        self.created_ms = np.sort(random.integers(BEGAN_MS, BEGAN_MS + YEAR_MS, count))
        self.task = self._uneven(len(TASKS), 1.2)
        self.operator = self._uneven(len(self.operators), 1.3)
        self.robot = self._uneven(len(self.robots), 1.1)
        self.state = random.choice(len(STATES), count, p=list(STATES.values()))
        self.driver = random.choice(len(DRIVERS), count, p=list(DRIVERS.values()))
        self.success = random.random(count) < 0.78
        self.score = np.round(1e6 * random.beta(5, 2, count) * np.where(self.success, 1.0, 0.4)).astype(int)
        self.part = random.beta(6, 2, (count, 5))
        self.duration_ms = np.round(1000 * random.lognormal(2.7, 0.5, count)).astype(int)
        self.practice = random.random(count) < 0.08
        self.older = random.random(count) < 0.3
        self.place = random.normal(0.0, 0.15, (count, 9))

    def _uneven(self, values: int, power: float) -> Any:
        weights = 1.0 / np.arange(1, values + 1) ** power
        return self._random.choice(values, self.count, p=weights / weights.sum())

    @property
    def middle(self) -> str:
        """A verified episode in the middle."""
        return next(f"{at:016x}" for at in range(self.count // 2, self.count) if self.verified(at))

    def verified(self, at: int) -> bool:
        """Whether an episode is verified; only those have a score."""
        return bool(self.state[at] == 0)

    def episode(self, at: int) -> dict[str, Any]:
        """Return one row of `episodes`."""
        witnessed = self.robot[at] % 8 == 1
        return {
            "episode": f"{at:016x}",
            "state": list(STATES)[self.state[at]],
            "robot": self.robots[self.robot[at]],
            "operator": self.operators[self.operator[at]],
            "task": TASKS[self.task[at]],
            "model": MODELS[self.robot[at] % len(MODELS)],
            "duration_ms": int(self.duration_ms[at]),
            "driver_kind": list(DRIVERS)[self.driver[at]],
            "driver_name": "",
            "driver_sha256": "",
            "steps": int(self.duration_ms[at]) // 33,
            "success": bool(self.success[at]),
            "valid": True,
            "reason": "finished",
            "digest": f"0x{at:064x}",
            "content_root": f"0x{at:064x}",
            "sha256": f"{at:064x}",
            "size": 400_000,
            "manifest": "x" * MANIFEST_BYTES,
            "robot_signature": "0x" + "1" * 130,
            "operator_signature": "0x" + "2" * 130,
            "receipt": RECEIPT if self.verified(at) else None,
            "log_index": at,
            "created_ms": int(self.created_ms[at]),
            "tries": 0,
            "trust": ("witnessed" if witnessed else "replayed") if self.verified(at) else None,
        }

    def score_of(self, at: int) -> dict[str, Any]:
        """Return one row of `scores`."""
        parts = V2 if self.older[at] else V3
        return {
            "episode": f"{at:016x}",
            "version": "2" if self.older[at] else "3",
            "score_ppm": int(self.score[at]),
            "accepted": bool(self.success[at]),
            "vector": {"success": float(self.success[at]), **dict(zip(parts, self.part[at].tolist(), strict=False))},
            "reasons": [],
            "task": TASKS[self.task[at]],
            "operator": self.operators[self.operator[at]],
            "price_wei": 1,
            "pay_wei": 1,
            "scored_ms": int(self.created_ms[at]),
            "rescored": False,
        }

    def path(self, at: int) -> dict[str, Any]:
        """Return one row of `motion_paths`: from one place to another, as most ways go."""
        way = np.linspace(0.0, 1.0, POINTS)[:, None] * self.place[at] + 0.1
        path = MotionPath("hands", 9, (way / np.sqrt(3 * POINTS)).astype("<f4").tobytes())
        cells = {f"cell_{line}": cell for line, cell in enumerate(motions.cells_of(path))}
        return {"episode": f"{at:016x}", "kind": "hands", "width": 9, "points": path.values, "world": None, **cells}


def batches(rows: Rows, *, verified: bool) -> Iterator[list[int]]:
    """Yield the numbers of the episodes, some at a time."""
    wanted = [at for at in range(rows.count) if not verified or rows.verified(at)]
    yield from (wanted[at : at + BATCH] for at in range(0, len(wanted), BATCH))


def fill(engine: Engine, rows: Rows) -> sessionmaker[Session]:
    """Put the rows into the tables, as a hub does: first the episode, then what it scored."""
    migrate(engine)
    database = open_database(engine)
    for some in batches(rows, verified=False):
        with database() as db, db.begin():
            db.execute(insert(EpisodeRow), [rows.episode(at) for at in some])
    names = [column.name for column in SearchedRow.__table__.columns if column.name.endswith("_ppm")]
    names += ["rules", "accepted", "practice"]
    said = update(SearchedRow.__table__).where(SearchedRow.__table__.c.episode == bindparam("of"))
    said = said.values({name: bindparam(f"new_{name}") for name in names})
    for some in batches(rows, verified=True):
        scores = [rows.score_of(at) for at in some]
        drives = [dict(one, episode=score["episode"]) for one, score in ((PRACTICE, score) for score in scores)]
        practised = [drive for at, drive in zip(some, drives, strict=True) if rows.practice[at]]
        news = [
            {f"new_{name}": value for name, value in searched.scored(ScoreRow(**score)).items()}
            | {"of": score["episode"], "new_practice": bool(rows.practice[at])}
            for at, score in zip(some, scores, strict=True)
        ]
        with database() as db, db.begin():
            db.execute(insert(ScoreRow), scores)
            db.execute(insert(PracticeRow), practised)
            db.connection().execute(said, news)
            db.execute(insert(MotionRow), [{"episode": score["episode"], "digest": None} for score in scores])
            db.execute(insert(MotionPathRow), [rows.path(at) for at in some])
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))  # what the server does by itself, a minute later
    return database


PRACTICE: Final = {"operator": "0x", "passed": True, "checks": [], "checked_ms": 1}


def questions(rows: Rows) -> dict[str, dict[str, Mapping[str, str]]]:
    """Return what is asked, by kind and by name."""
    most, few = rows.operators[0], rows.operators[-1]
    since = "2026-06-01"
    return {
        "page": {
            "newest": {},
            "oldest": {"order": "oldest"},
            "best": {"order": "best"},
            "worst": {"order": "worst"},
            "longest": {"order": "longest"},
            "verified": {"state": "verified"},
            "a task": {"task": "lift", "state": "verified"},
            "an operator of many": {"operator": most},
        },
        "search": {
            "an operator of few": {"operator": few},
            "a robot": {"robot": rows.robots[-1], "state": "verified"},
            "a model, the best": {"model": "husky", "order": "best"},
            "failed": {"success": "false", "state": "verified"},
            "a good score": {"score_min": "0.8"},
            "no score so good": {"score_min": "1"},
            "one part": {"object_path_min": "0.8"},
            "three parts": {"object_path_min": "0.9", "flow_min": "0.9", "pace_max": "0.3"},
            "parts that no episode has": {"object_path_min": "0.9", "smoothness_min": "0.9"},
            "a length": {"duration_min_s": "10", "duration_max_s": "12"},
            "a month": {"since": since, "until": "2026-07-01"},
            "witnessed, driven by policies": {"trust": "witnessed", "driver": "policy"},
            "practice, the worst": {"practice": "true", "order": "worst"},
            "a task of few, the longest": {"task": "sort", "order": "longest"},
            "a task of few, good": {"task": "sort", "score_min": "0.9", "success": "true"},
            "a task that there is not": {"task": "knit"},
            "many words": {
                "task": "stack",
                "model": "panda",
                "success": "true",
                "state": "verified",
                "trust": "replayed",
                "driver": "person",
                "practice": "false",
                "score_min": "0.7",
                "object_path_min": "0.7",
                "duration_max_s": "20",
                "since": since,
                "order": "best",
            },
            "what contradicts itself": {"success": "false", "score_min": "0.9", "order": "shortest"},
        },
        "words": {"all": {}, "of a task": {"task": "lift"}, "of a good score": {"score_min": "0.8"}},
        "neighbours": {"of one": {}},
    }


def worked_s(server: int | None) -> float:
    """Return how much of a core this process has used, and a server and its children."""
    total = time.process_time()
    for process in () if server is None else (psutil.Process(server), *psutil.Process(server).children()):
        taken = process.cpu_times()
        total += taken.user + taken.system + taken.children_user + taken.children_system
    return total


class Asking:
    """Asks one database through the routes."""

    def __init__(self, database: sessionmaker[Session], rows: Rows, runs: int, server: int | None) -> None:
        """`server`: the process of the database, if it has one."""
        self._server = server
        self.worked: dict[str, dict[str, float]] = {}
        """How much of a core each question takes, ms, by kind."""
        self._app = FastAPI()
        errors.install(self._app)
        self._app.include_router(router(Search(database)))
        self._rows, self._runs = rows, runs

    def all(self) -> dict[str, dict[str, float]]:
        """Return how long each question takes, ms, by kind."""
        with TestClient(self._app) as client:
            found: dict[str, dict[str, float]] = {}
            for kind, asked in questions(self._rows).items():
                found[kind], self.worked[kind] = {}, {}
                for name, words in asked.items():
                    self._note(found, client, kind, name, words)
                    if kind == "page":
                        self._note(found, client, kind, f"{name}, from the middle", self._middle(client, words))
            return found

    def _note(self, found: Any, client: TestClient, kind: str, name: str, words: Mapping[str, str]) -> None:
        found[kind][name], self.worked[kind][name] = self._one(client, kind, words)

    def _middle(self, client: TestClient, words: Mapping[str, str]) -> Mapping[str, str]:
        """Return the words with the cursor of the middle of what they find, as a reader has it who has come so far."""
        one = client.get("/api/episodes", params={**words, "limit": "1"}).json()
        order, key, _ = one["next"].split(".")
        column = {"best": self._rows.score, "worst": self._rows.score, "longest": self._rows.duration_ms}
        middle = int(np.median(column.get(order, self._rows.created_ms)))
        return {**words, "after": f"{order}.{middle}.{'8' * len(key)}"}

    def _one(self, client: TestClient, kind: str, words: Mapping[str, str]) -> tuple[float, float]:
        path, params = "/api/episodes", {**words}
        if kind in ("page", "search"):
            params["limit"] = "200"
        elif kind == "words":
            path = "/api/episodes/words"
        else:
            path = f"/api/episodes/{self._rows.middle}/neighbours"
        taken = []
        client.get(path, params=params).raise_for_status()
        before_s = worked_s(self._server)
        for _ in range(self._runs):
            begun = time.perf_counter()
            answer = client.get(path, params=params)
            taken.append(1e3 * (time.perf_counter() - begun))
            answer.raise_for_status()
        worked_ms = 1e3 * (worked_s(self._server) - before_s) / self._runs
        return round(statistics.median(taken), 1), round(worked_ms, 1)


def measured(folder: Path, count: int, runs: int) -> dict[str, Any]:
    """Fill both databases with the same, and ask both the same."""
    rows = Rows(count)
    found: dict[str, dict[str, dict[str, float]]] = {}
    worked: dict[str, dict[str, dict[str, float]]] = {}
    filled_s: dict[str, float] = {}
    with postgres() as server:
        urls = {"sqlite": f"sqlite:///{folder / 'armshare.sqlite'}", "postgresql": server.url(server.create())}
        for name, url in urls.items():
            engine, begun = open_engine(url), time.perf_counter()
            database = fill(engine, rows)
            filled_s[name] = round(time.perf_counter() - begun, 1)
            asking = Asking(database, rows, runs, server.process_id if name == "postgresql" else None)
            found[name], worked[name] = asking.all(), asking.worked
            engine.dispose()
    return {
        "episodes": count,
        "runs": runs,
        **_by_kind(found, ""),
        **_by_kind(worked, "processor_"),
        "filled_s": filled_s,
        "searches": _by_name(found),
        "processor_searches": _by_name(worked),
    }


def _by_kind(found: Mapping[str, Mapping[str, Mapping[str, float]]], before: str) -> dict[str, Any]:
    kinds = found["sqlite"]
    return {
        f"{before}{kind}_ms": {name: _ends(list(taken[kind].values())) for name, taken in found.items()}
        for kind in kinds
    }


def _by_name(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        f"{kind}: {name}": {database: taken[kind][name] for database, taken in found.items()}
        for kind, asked in found["sqlite"].items()
        for name in asked
    }


def _ends(taken_ms: Sequence[float]) -> dict[str, float]:
    return {"worst": max(taken_ms), "median": round(statistics.median(taken_ms), 1)}


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that show both databases beside each other."""
    yield f"{'ms, of ' + format(found['episodes'], ',') + ' episodes':<48}{'SQLite':>10}{'PostgreSQL':>12}   of a core"
    for name, taken in found["searches"].items():
        worked = found["processor_searches"][name]
        yield (
            f"{name:<48}{taken['sqlite']:>10}{taken['postgresql']:>12}{worked['sqlite']:>12}{worked['postgresql']:>8}"
        )


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=100_000, help="how many episodes there are")
    options.add_argument("--runs", type=int, default=5, help="how often each is asked; the median counts")
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), chosen.rows, chosen.runs)
    if not chosen.json:
        print("command:", " ".join(sys.argv))
        for line in table(found):
            print(line)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
