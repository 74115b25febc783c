"""The platform that the front's tests share: real processes, one set for each lane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from armshare.platform.processes import platform
from tests.conftest import House
from tests.s3 import s3

__all__ = ["s3"]


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One platform for all tests that only use it; a test that breaks it starts its own."""
    data = tmp_path_factory.mktemp("house")
    with (data / "log").open("wb") as log, platform(data, 0, ["panda:lift,reach"], log) as (url, (hub, host)):
        yield House(url, data, hub, host)


@pytest.fixture(scope="package")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A platform as it is when nobody has set anything: wallets must qualify, and a drive is kept for a minute."""
    data = tmp_path_factory.mktemp("untouched")
    with ExitStack() as stack:
        log = stack.enter_context((data / "log").open("wb"))
        with pytest.MonkeyPatch.context() as settings:  # while it starts: others start beside it, with theirs
            settings.delenv("ARMSHARE_QUALIFICATION")
            settings.delenv("ARMSHARE_AWAY_S")
            url, (hub, host) = stack.enter_context(platform(data, 0, ["panda"], log))
        yield House(url, data, hub, host)
