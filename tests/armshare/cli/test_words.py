"""The words of a search are one list: over HTTP, on the command line, and on the page that explains them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import typer
from fastapi import FastAPI
from fastapi.testclient import TestClient
from rich.console import Console

from armshare.cli.app import cli
from armshare.cli.words import OPTIONS, option_of
from armshare.researcher.finding import WHOLE, table
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from rewards.datasets.words import FILTERS, WORDS
from rewards.hub.search import Search
from rewards.hub.search_api import router
from rewards.tables import SearchedRow
from teleop.hub import errors
from teleop.hub.db import open_database, open_engine
from tests.armshare.command import armshare_here
from tests.databases import with_tables
from tests.recorder.factory import fixed_key

ROOT = Path(__file__).parents[3]
URL = "http://hub.example"
CONFIG = {"chain_id": 1, "vault": "0x", "hub": "0x", "log_public_key": "k"}
ADA = fixed_key("ada").address


@pytest.fixture
def web(tmp_path: Path) -> Iterator[TestClient]:
    """A hub that can be searched, with five episodes."""
    engine = open_engine(f"sqlite:///{tmp_path / 'armshare.sqlite'}")
    with_tables(engine)
    database = open_database(engine)
    with database() as db, db.begin():
        for number in range(5):
            db.add(
                EpisodeRow(
                    episode=f"e{number}",
                    state=EpisodeState.VERIFIED,
                    robot=fixed_key("arm").address,
                    operator=ADA,
                    task="stack" if number else "lift",
                    model="panda",
                    duration_ms=12_340,
                    success=number != 3,
                    trust=TrustClass.REPLAYED,
                    created_ms=1_790_000_000_000 + number,
                )
            )
        db.flush()
        db.get_one(SearchedRow, "e4").score_ppm = 912_345
        db.get_one(SearchedRow, "e4").accepted = True
    app = FastAPI()
    errors.install(app)
    app.include_router(router(Search(database)))
    app.get("/api/config")(lambda: CONFIG)
    with TestClient(app, base_url=URL) as client:
        yield client
    engine.dispose()


@pytest.fixture
def hub(web: TestClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The command line reaches that hub."""

    def answer(request: httpx.Request) -> httpx.Response:
        found = web.get(str(request.url).removeprefix(URL))
        return httpx.Response(found.status_code, content=found.content, headers={"Content-Type": "application/json"})

    real = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **_: real(transport=httpx.MockTransport(answer), base_url=URL))
    return web


def options_of(command: str) -> set[str]:
    group = typer.main.get_command(cli)
    return {option for one in group.commands[command].params for option in one.opts}  # type: ignore[attr-defined]


def test_the_words_are_the_same_everywhere(web: TestClient) -> None:
    paths = web.get("/openapi.json").json()["paths"]
    over_http = {one["name"] for one in paths["/api/episodes"]["get"]["parameters"]}
    for_values = {one["name"] for one in paths["/api/episodes/words"]["get"]["parameters"]}
    page = (ROOT / "docs" / "catalogue.md").read_text()
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))
    named = {option_of(name) for name in WORDS}

    assert over_http == set(WORDS) == explained
    assert for_values == set(FILTERS)
    assert named <= options_of("episodes")
    assert named <= options_of("fetch")
    assert {option_of(name) for name in OPTIONS} | {"--limit"} == named


def listed(*more: str) -> str:
    done = armshare_here("episodes", "--hub", URL, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_episodes_are_listed_as_a_researcher_wants_to_see_them(hub: TestClient, monkeypatch) -> None:
    monkeypatch.setattr("armshare.cli.options.out.width", 160)
    said = listed("--task", "stack", "--limit", "3")
    assert re.search(r"2026-09-21 14:13 +e4 +stack +panda +0x\w{4}…\w{4} +12\.3 s +yes +0\.912 +replayed", said)
    assert "3 of 4 episodes" in said
    after = re.search(r"The next: --after (\S+)", said)
    assert after is not None
    rest = listed("--task", "stack", "--after", after[1])
    assert "e1" in rest
    assert "e4" not in rest


def test_as_json_they_are_what_the_hub_answers(hub: TestClient) -> None:
    found = json.loads(armshare_here("episodes", "--hub", URL, "--success", "true", "--json").stdout)
    answer = hub.get("/api/episodes?success=true").json()
    assert (found["episodes"], found["total"], found["more"], found["next"]) == (answer["episodes"], 4, False, None)


def test_nothing_found_says_what_there_is(hub: TestClient) -> None:
    assert "no episodes found for task stak; of task there are stack and lift" in listed("--task", "stak")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--score-min", "80"], "Invalid value for --score-min: score_min must be a number from 0 to 1"),
        (["--driver", "robot"], "driver must be person, script or policy; got 'robot'"),
        (["--since", "yesterday"], "since must be a date or a time in ISO 8601, such as 2026-11-27"),
        (["--operator", "bob"], "operator must be an address: 0x and 40 hex digits"),
        (["--order", "random"], "order must be newest, oldest, best, worst, longest or shortest"),
        (["--taks", "lift"], "No such option: --taks"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_hub_is_asked(words: list[str], says: str) -> None:
    for command in (["episodes"], ["fetch", "folder"]):
        done = armshare_here(*command, "--hub", URL, *words)
        assert done.returncode == 2
        assert says in " ".join(done.stderr.replace("│", " ").split())


def test_a_table_shows_whole_ids_and_leaves_columns_out_where_there_is_no_room():
    one = {
        "created_ms": 1_795_000_000_000,
        "episode": "2ebebbf4b04153fb7fd4b4eb078812b0",
        "task": "pick_place",
        "model": "dual_panda",
        "operator": "0x" + "aB" * 20,
        "driver": {"kind": "person"},
        "duration_s": 123.4,
        "success": True,
        "score": 0.998,
        "accepted": False,
        "practice": False,
        "trust": "replayed",
        "state": "verified",
    }
    for width, more in ((80, False), (WHOLE, True)):
        shown = Console(width=width, file=io.StringIO())
        shown.print(table({"episodes": [one]}, width))
        said = shown.file.getvalue()  # type: ignore[attr-defined]
        assert one["episode"] in said
        assert "0.998, rejected" in said
        assert "…" not in said.replace("0xaBaB…aBaB", "")
        assert ("dual_panda" in said) == more
