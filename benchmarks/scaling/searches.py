"""The questions that people ask of the catalogue, through the HTTP routes, and how long each takes."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import psutil
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.scaling.year import Year
from rewards.hub.search import Search
from rewards.hub.search_api import router
from teleop.hub import errors

MAX_S = 60.0
"""What takes longer than a search may is measured too."""


def questions(year: Year) -> dict[str, dict[str, Mapping[str, str]]]:
    """Return what is asked, by kind and by name."""
    most, few = year.operators[0], year.operators[-1]
    since = "2026-06-01"
    return {
        "page": {
            "newest": {},
            "oldest": {"order": "oldest"},
            "best": {"order": "best"},
            "worst": {"order": "worst"},
            "longest": {"order": "longest"},
            "shortest": {"order": "shortest"},
            "verified": {"state": "verified"},
            "a task": {"task": "lift", "state": "verified"},
            "a task, in any state": {"task": "lift"},
            "an operator of many": {"operator": most},
            "a robot of many, the best": {"robot": year.robots[0], "order": "best"},
        },
        "search": {
            "an operator of few": {"operator": few},
            "a robot": {"robot": year.robots[-1], "state": "verified"},
            "a model, the best": {"model": "iiwa", "order": "best"},
            "failed": {"success": "false", "state": "verified"},
            "a good score": {"score_min": "0.8"},
            "a bad score": {"score_max": "0.2"},
            "no score so good": {"score_min": "1"},
            "one part": {"object_path_min": "0.8"},
            "three parts": {"object_path_min": "0.9", "flow_min": "0.9", "pace_max": "0.3"},
            "all parts": {f"{part}_min": "0.8" for part in ("object_path", "order", "pace", "flow", "control")},
            "parts that no episode has": {"object_path_min": "0.9", "smoothness_min": "0.9"},
            "success in part": {"success_max": "0.5", "order": "best"},
            "a length": {"duration_min_s": "10", "duration_max_s": "12"},
            "a month": {"since": since, "until": "2026-07-01"},
            "a month, the best": {"since": since, "until": "2026-07-01", "order": "best"},
            "witnessed, driven by policies": {"trust": "witnessed", "driver": "policy"},
            "practice, the worst": {"practice": "true", "order": "worst"},
            "not signed yet": {"state": "uploaded"},
            "in a state that no episode is in": {"state": "held"},
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
        "words": {
            "all": {},
            "verified": {"state": "verified"},
            "of a task": {"task": "lift", "state": "verified"},
            "of a good score": {"score_min": "0.8"},
            "of three parts": {"object_path_min": "0.9", "flow_min": "0.9", "pace_max": "0.3"},
        },
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
    """Asks one database through the routes. A hub that has just started: nothing is counted yet."""

    def __init__(self, database: sessionmaker[Session], year: Year, runs: int, server: int | None) -> None:
        """`server`: the process of the database, if it has one."""
        self._server, self._database = server, database
        self.worked: dict[str, dict[str, float]] = {}
        """How much of a core each question takes, ms, by kind."""
        self._year, self._runs = year, runs

    def all(self, most: int | None = None) -> dict[str, dict[str, float]]:
        """Return how long each question takes, ms, by kind; `most`: of each kind, only the first so many."""
        found: dict[str, dict[str, float]] = {}
        for kind, asked in questions(self._year).items():
            found[kind], self.worked[kind] = {}, {}
            for name, words in list(asked.items())[:most]:
                self._note(found, kind, name, words)
                if kind == "page":
                    self._note(found, kind, f"{name}, from the middle", self._middle(words))
        return found

    def _app(self) -> FastAPI:
        app = FastAPI()
        errors.install(app)
        app.include_router(router(Search(self._database, max_s=MAX_S)))
        return app

    def _note(self, found: Any, kind: str, name: str, words: Mapping[str, str]) -> None:
        found[kind][name], self.worked[kind][name] = self._one(kind, words)

    def _middle(self, words: Mapping[str, str]) -> Mapping[str, str]:
        """Return the words with the cursor of the middle of what they find, as a reader has it who has come so far."""
        with TestClient(self._app()) as client:
            one = client.get("/api/episodes", params={**words, "limit": "1"}).json()
        if one["next"] is None:
            return words
        order, key, _ = one["next"].split(".")
        column = {"best": self._year.score_ppm, "worst": self._year.score_ppm}
        column |= {"longest": self._year.duration_ms, "shortest": self._year.duration_ms}
        middle = int(np.median(column.get(order, self._year.created_ms)))
        return {**words, "after": f"{order}.{middle}.{'8' * len(key)}"}

    def _one(self, kind: str, words: Mapping[str, str]) -> tuple[float, float]:
        path, params = "/api/episodes", {**words}
        if kind in ("page", "search"):
            params["limit"] = "200"
        elif kind == "words":
            path = "/api/episodes/words"
        else:
            path = f"/api/episodes/{self._year.middle}/neighbours"
        taken, worked = [], []
        for run in range(self._runs + 1):
            with TestClient(self._app()) as client:  # a fresh one, so that nothing is remembered
                client.get("/api/episodes", params={"limit": "1"}).raise_for_status()
                gc.collect()  # of the hub before; what is left of it is not this question's
                begun, before_s = time.perf_counter(), worked_s(self._server)
                answer = client.get(path, params=params)
                clock_ms, core_ms = 1e3 * (time.perf_counter() - begun), 1e3 * (worked_s(self._server) - before_s)
            answer.raise_for_status()
            if run:
                taken.append(clock_ms)
                worked.append(core_ms)
        return round(statistics.median(taken), 1), round(statistics.mean(worked), 1)
