"""What every room's tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from hypothesis import Phase, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from armshare.logs import LogFormat, processors
from armshare.platform.processes import Child
from tests.databases import Cluster, using
from tests.lanes import is_slow, lane_of, turn_of
from tests.postgres import Postgres, postgres

# A test must not be slowed or changed by what the machine's owner has set.
for name in list(os.environ):
    if name.startswith("ARMSHARE_"):
        del os.environ[name]
# Most tests are of an episode that is paid; tests/armshare/platform/test_qualification.py is of the first drive.
os.environ["ARMSHARE_QUALIFICATION"] = "false"
# The next test has the robot at once, whatever the last one left open; tests/armshare/web/test_leaving.py is of coming
# back.
os.environ["ARMSHARE_AWAY_S"] = "0"

# A line as in a process of ours; by itself the library renders a traceback for longer than a control loop may stall.
structlog.configure(processors=processors(LogFormat.TEXT))

# Every run tries the same examples; `make fuzz` tries new ones, and makes what fails as small as it can.
settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    phases=[phase for phase in Phase if phase not in (Phase.shrink, Phase.explain)],
)
settings.register_profile("fuzz", deadline=None, print_blob=True)
settings.load_profile("ci")


class Lanes(LoadScopeScheduling):
    """Gives a worker a lane, or a file, at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Share the tests out by lanes, in the order in which they were collected."""
    config.option.loadscopereorder = False
    return Lanes(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first; call slow what starts the real processes."""
    items.sort(key=lambda item: turn_of(item.nodeid))
    for item in items:
        if is_slow(item.nodeid):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One PostgreSQL for a worker's tests, started by the first that asks."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def cluster(postgres_server: Postgres) -> Cluster:
    """Its databases."""
    return Cluster(postgres_server)


@pytest.fixture(params=["sqlite", "postgresql"])
def either_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    with using(request.getfixturevalue("cluster")):
        yield "postgresql"


@dataclass(frozen=True)
class House:
    """The whole platform, as processes: anvil, hub, and a host with one simulated robot."""

    url: str
    data: Path
    hub: Child
    host: Child

    @property
    def admin_token(self) -> str:
        return (self.data / "keys" / "admin.token").read_text().strip()
