"""How fast a hub finds episodes among a hundred thousand: on SQLite and on PostgreSQL, in one run.

The rows are a year of a hub's, in its own tables, as its migrations make them: tasks, operators, robots, scores and
lengths as unevenly spread as they are, and a manifest and a receipt in each. PostgreSQL is started by this program, in
a temporary folder. Every question goes through the HTTP route, in this process: reading the words, the database, the
episodes themselves and their JSON.

`page_ms`: the next 200 episodes of a list, from its beginning and from its middle; `search_ms`: searches by one word
and by many, by what is frequent and by what there is not; `words_ms`: which values there are, before any were counted;
`neighbours_ms`. Each is a median of `--runs`; of each kind the worst question and the median one. `searches` has all of
them. `processor_..` is the same in time of a core, of this process and of PostgreSQL's together, which other load on
the machine changes less (PostgreSQL's is measured in steps of 10 ms).

    .venv/bin/python benchmarks/catalogue.py --json

It takes about three minutes, 2 GB of disk and 400 MB of memory; `--rows 1000000` half an hour and 20 GB.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from armshare.migrations import migrate
from benchmarks.scaling.filling import fill
from benchmarks.scaling.searches import Asking
from benchmarks.scaling.year import Year
from teleop.hub.db import open_database, open_engine
from tests.postgres import postgres

Figures = Mapping[str, Mapping[str, Mapping[str, float]]]


def measured(folder: Path, count: int, runs: int, databases: Sequence[str]) -> dict[str, Any]:
    """Fill the databases with the same, and ask them the same."""
    year = Year(count)
    found: dict[str, dict[str, dict[str, float]]] = {}
    worked: dict[str, dict[str, dict[str, float]]] = {}
    filled_s: dict[str, float] = {}
    with postgres() as server:
        urls = {"sqlite": f"sqlite:///{folder / 'armshare.sqlite'}", "postgresql": server.url(server.create())}
        for name in databases:
            engine = open_engine(urls[name])
            migrate(engine)
            filled_s[name] = round(fill(engine, year), 1)
            asking = Asking(open_database(engine), year, runs, server.process_id if name == "postgresql" else None)
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


def _by_kind(found: Figures, before: str) -> dict[str, Any]:
    kinds = next(iter(found.values()))
    return {
        f"{before}{kind}_ms": {name: _ends(list(taken[kind].values())) for name, taken in found.items()}
        for kind in kinds
    }


def _by_name(found: Figures) -> dict[str, dict[str, float]]:
    return {
        f"{kind}: {name}": {database: taken[kind][name] for database, taken in found.items()}
        for kind, asked in next(iter(found.values())).items()
        for name in asked
    }


def _ends(taken_ms: Sequence[float]) -> dict[str, float]:
    return {"worst": max(taken_ms), "median": round(statistics.median(taken_ms), 1)}


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that show the databases beside each other."""
    names = list(next(iter(found["searches"].values())))
    yield f"{'ms, of ' + format(found['episodes'], ',') + ' episodes':<48}" + "".join(
        f"{name:>12}{'of a core':>12}" for name in names
    )
    for asked, taken in found["searches"].items():
        worked = found["processor_searches"][asked]
        yield f"{asked:<48}" + "".join(f"{taken[name]:>12}{worked[name]:>12}" for name in names)


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=100_000, help="how many episodes there are")
    options.add_argument("--runs", type=int, default=5, help="how often each is asked; the median counts")
    options.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one")
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    databases = (chosen.database,) if chosen.database else ("sqlite", "postgresql")
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), chosen.rows, chosen.runs, databases)
    if not chosen.json:
        print("command:", " ".join(sys.argv))
        for line in table(found):
            print(line)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
