"""`armshare rescore` asks a hub to score by other rules, with the admin token, and says what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from armshare.cli import books
from tests.armshare.command import armshare_here
from tests.rewards.hub.test_api import served
from tests.rewards.hub.test_pipeline import submitted
from tests.rewards.hub.test_pipeline import world as world
from tests.rewards.world import World


class Platform:
    """A hub with two scored episodes, and its data folder."""

    def __init__(self, url: str, data: Path) -> None:
        self.url, self.data = url, data

    def rescore(self, *arguments: str) -> CompletedProcess[str]:
        return armshare_here("rescore", *arguments, "--hub", self.url, "--data", str(self.data))


@pytest.fixture
def platform(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    asyncio.run(submitted(world, world.verified("e1"), world.verified("e2", seed=8)))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "admin.token").write_text("of-the-platform\n")
    monkeypatch.setattr(books, "config_of", lambda client: {})  # the rewards' routes alone do not have it
    monkeypatch.setattr(books, "_LOOK_EVERY_S", 0.0)
    with served(world) as client:
        yield Platform(str(client.base_url), tmp_path)


def test_it_waits_for_the_end_and_says_what_it_was_worth(platform: Platform) -> None:
    done = platform.rescore("--rules", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 of 2 scored by version 1: ")
    assert "ARM more for" in done.stdout


def test_as_json_it_is_the_hubs_answer(platform: Platform) -> None:
    job = json.loads(platform.rescore("--rules", "1", "--task", "lift", "--json").stdout)
    assert (job["rules"], job["task"], job["state"], job["seen"], job["failed"]) == ("1", "lift", "done", 2, 0)


def test_it_need_not_wait(platform: Platform) -> None:
    done = platform.rescore("--rules", "1", "--no-wait", "--json")
    assert json.loads(done.stdout)["episodes"] == 2


def test_rules_that_the_hub_does_not_have_are_said(platform: Platform) -> None:
    done = platform.rescore("--rules", "77")
    assert done.returncode == 2
    assert "expected one of the versions of the rules 1, 2" in " ".join(done.stderr.split())


def test_another_token_than_the_hubs_scores_nothing(platform: Platform) -> None:
    (platform.data / "keys" / "admin.token").write_text("another")
    done = platform.rescore("--rules", "1")
    assert done.returncode == 2
    assert "admin token" in done.stderr
