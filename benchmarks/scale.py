"""A hub after a year with a million episodes and ten thousand operators: what each thing costs, and what breaks first.

The real tables on SQLite and on PostgreSQL, filled by bulk insertion, with everything that an episode leaves in them;
then the hub's own code in this process: searching, copies by motion, the log, the ledger and the payout roots, leases
and tickets, what a hub does as it starts and again and again, data sets. A real hub process with 500 robots and
thousands of open sockets; real stores (a folder, and a bucket of SeaweedFS) with `--files` episodes each.

One JSON object on the last line:

`tables.DATABASE`: `filled_s`; `migrated_s`, by the clock and of a core, the newest migration with all that there is;
`mb` (of each table, with its indexes) and `total_mb`; `searches` (of each kind of question, the worst and the median,
ms by the clock and of a core); and the groups `start`, `log`, `motions`, `driving`, `money`, `again_and_again` and
`sets`: for each thing `ms` by the clock and `core_ms` of a core, this process's and PostgreSQL's together.
`lobby.steps`: for each number of `sockets` the hub's `memory_mib`, its `idle_share_of_core`, and what the list of
robots costs it (`list_core_ms`) and how much it is (`list_kb`); `kib_per_socket`; `lobbies_per_core`: how many people
may look at the list, which a page asks for every two seconds, until that alone takes a core.
`files.STORE`: ms of each episode that is taken in (`take_in_..`), found, read and erased, and of one sweep.

    .venv/bin/python benchmarks/scale.py --json                          a million: 20 GB of disk, an hour
    .venv/bin/python benchmarks/scale.py --json --episodes 20000         two minutes

Databases are filled and dropped one after the other, in `--folder` (PostgreSQL's in a temporary folder).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

sys.path.insert(0, str(Path(__file__).parents[1]))

import armshare.migrations
from armshare.migrations import migrate
from benchmarks.scaling import asks, files, lobby
from benchmarks.scaling.filling import analyse, fill, say, sizes_mb
from benchmarks.scaling.searches import Asking, worked_s
from benchmarks.scaling.year import OPERATORS, ROBOTS, Year
from teleop.hub.db import open_database, open_engine
from tests.postgres import postgres

BEFORE: Final = "0017"
"""The schema that is filled; the migrations after it are timed."""
DATABASES: Final = ("sqlite", "postgresql")


def of_tables(name: str, folder: Path, year: Year, options: argparse.Namespace) -> dict[str, Any]:
    """Fill one database and ask it."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres()) if name == "postgresql" else None
        file = folder / "armshare.sqlite"
        stack.callback(lambda: [one.unlink() for one in folder.glob("armshare.sqlite*")])
        engine = open_engine(f"sqlite:///{file}" if server is None else server.url(server.create()))
        stack.callback(engine.dispose)
        process_id = None if server is None else server.process_id
        to_revision(engine, BEFORE)
        found: dict[str, Any] = {"filled_s": round(fill(engine, year), 1)}
        begun, before_s = time.perf_counter(), worked_s(process_id)
        migrate(engine)
        found["migrated_s"] = round(time.perf_counter() - begun, 2)
        found["migrated_core_s"] = round(worked_s(process_id) - before_s, 2)
        analyse(engine)
        found["mb"] = sizes_mb(engine)
        found["total_mb"] = round(sum(found["mb"].values()), 1)
        asking = Asking(open_database(engine), year, options.runs, process_id)
        found["searches"] = _ends(asking.all(), asking.worked)
        say(f"{name}: searched")
        scratch = stack.enter_context(asks.scratch())
        hub = asks.Hub(open_database(engine), year, scratch, process_id, options.runs)
        for group, figures in asks.everything(hub, options.card, options.sets):
            found[group] = figures
            say(f"{name}: {group}")
    return found


def to_revision(engine: Engine, revision: str) -> None:
    """Bring a database to an earlier schema than the newest."""
    config = Config()
    config.set_main_option("script_location", str(Path(armshare.migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _ends(taken: dict[str, dict[str, float]], worked: dict[str, dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Return the worst and the median question of each kind."""
    found: dict[str, dict[str, Any]] = {}
    for kind, some in taken.items():
        core = worked[kind]
        worst = max(core, key=lambda name: core[name])
        found[kind] = {
            "worst_ms": max(some.values()),
            "median_ms": round(statistics.median(some.values()), 1),
            "worst_core_ms": core[worst],
            "median_core_ms": round(statistics.median(core.values()), 1),
            "worst": worst,
        }
    return found


def measured(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure what is asked for."""
    year = Year(options.episodes, options.operators, options.robots)
    said = {"episodes": options.episodes, "operators": len(year.operators), "robots": len(year.robots)}
    tables = {}
    for name in options.databases:
        tables[name] = of_tables(name, folder, year, options)
    found: dict[str, Any] = {**said, "tables": tables}
    if options.sockets:
        found["lobby"] = lobby.measured(len(year.robots), options.sockets, options.lists)
    if options.files:
        found["files"] = {}
        for name, measure in files.STORES.items():
            with tempfile.TemporaryDirectory(dir=folder) as place:
                found["files"][name] = measure(Path(place), options.files)
    return found


def lines(found: dict[str, Any]) -> Sequence[str]:
    """Return the figures of the tables, each beside its name."""
    return [
        line
        for name, figures in found["tables"].items()
        for line in (
            f"--- {name}, ms by the clock and of a core",
            *asks.summary({group: said for group, said in figures.items() if group in asks.GROUPS}),
        )
    ]


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--episodes", type=int, default=1_000_000)
    options.add_argument("--operators", type=int, default=OPERATORS)
    options.add_argument("--robots", type=int, default=ROBOTS)
    options.add_argument("--runs", type=int, default=5, help="how often each thing is done")
    options.add_argument("--databases", nargs="*", choices=DATABASES, default=DATABASES)
    options.add_argument("--card", type=int, default=asks.CARD_EPISODES, help="episodes of the small data set")
    options.add_argument("--sets", type=int, nargs="*", default=(100_000,), help="episodes of larger data sets")
    options.add_argument("--sockets", type=int, nargs="*", default=(250, 500, 1000, 2000), help="in steps")
    options.add_argument("--lists", type=int, default=20, help="how often the list of robots is asked for at each step")
    options.add_argument("--files", type=int, default=2000, help="episodes in each store")
    options.add_argument("--folder", type=Path, help="where SQLite's file and the stores are made")
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        found = measured(Path(folder), chosen)
    if not chosen.json:
        print("command:", " ".join(sys.argv))
        for line in lines(found):
            print(line)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
