"""The first drive in the real processes: a new wallet is not paid, shows that it can drive, and is paid from then on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from teleop.doors.demo import demo
from teleop.doors.processes import platform
from tests.conftest import House
from tests.test_house import armshare


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A platform as it is when nobody has set anything: wallets must qualify."""
    data = tmp_path_factory.mktemp("strict")
    with (data / "log").open("wb") as log, pytest.MonkeyPatch.context() as settings:
        settings.delenv("ARMSHARE_QUALIFICATION")
        with platform(data, 0, ["panda"], log) as (url, (hub, host)):
            yield House(url, data, hub, host)


def test_the_demo_drives_the_first_drive_first_and_is_paid_for_the_rest(strict: House, tmp_path: Path) -> None:
    outcome = asyncio.run(demo(strict.url, strict.admin_token, 1, tmp_path, lambda _: None))
    assert outcome.practice is not None
    assert (outcome.practice.practice, outcome.practice.missing, outcome.practice.pay) == (True, [], "0")
    assert [one.practice for one in outcome.episodes] == [False]
    assert int(outcome.balance) == int(outcome.episodes[0].pay) > 0


def test_a_terminal_says_what_was_practice_and_what_was_missing(strict: House, tmp_path: Path) -> None:
    key = str(tmp_path / "operator.key")

    def driven(how: str) -> tuple[dict, str]:
        done = armshare("drive", "--hub", strict.url, "--key", key, "--task", "lift", how, "--json")
        assert done.returncode in (0, 1), done.stderr
        *lines, said = done.stdout.splitlines()
        return json.loads(said), "\n".join(lines)

    lifted, text = driven("--expert")
    assert lifted["episodes"][0]["accepted"]
    assert lifted["episodes"][0]["pay"] == "0"
    assert "practice, not paid, and not qualified yet" in text
    assert all(one in text for one in lifted["episodes"][0]["missing"])
    shown, text = driven("--first-drive")
    assert shown["episodes"][0]["missing"] == []
    assert "every check of the first drive passed" in text
    known = httpx.get(f"{strict.url}/api/operators/{lifted['operator']}").json()
    assert (known["qualified"], known["episode"]) == (True, shown["episodes"][0]["episode"])
    lifted, text = driven("--expert")
    assert int(lifted["episodes"][0]["pay"]) > 0
    assert "practice" not in text
