"""What every room's tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from armshare.platform.processes import Child, platform

# A test must not be slowed or changed by what the machine's owner has set.
for name in list(os.environ):
    if name.startswith("ARMSHARE_"):
        del os.environ[name]
# Most tests are of an episode that is paid; tests/armshare/platform/test_qualification.py is of the first drive.
os.environ["ARMSHARE_QUALIFICATION"] = "false"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One platform for all tests that only use it; a test that breaks it starts its own."""
    data = tmp_path_factory.mktemp("house")
    with (data / "log").open("wb") as log, platform(data, 0, ["panda"], log) as (url, (hub, host)):
        yield House(url, data, hub, host)
