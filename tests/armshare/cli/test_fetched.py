"""What `armshare fetch` brings and says, and how `armshare verify` treats a `score.json`, which nobody signs."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from recorder.proof.bundle import SCORE_FILE
from recorder.proof.manifest import decode
from rewards.score.kept import as_json, encoded, keep_score
from rewards.score.score import recompute
from tests.armshare.command import armshare_here
from tests.recorder.bundles import LOG_KEY
from tests.recorder.export import made
from tests.recorder.export.real import filmed_bundle
from tests.recorder.factory import DOMAIN, HUB

CONFIG = {"chain_id": DOMAIN.chain_id, "vault": DOMAIN.vault, "hub": HUB.address, "log_public_key": LOG_KEY.verifier}
URL = "http://hub.example"


class Served(httpx.BaseTransport):
    """A hub that gives out the bundles of a folder, and a score for each of them if `scores`."""

    def __init__(self, folder: Path, *, scores: bool = True) -> None:
        self.folder, self.scores = folder, scores
        self.asked: list[str] = []
        self.wanted: list[dict[str, str]] = []
        self.gone, self.endless = "", False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as a hub does, in a stream, as from a socket."""
        answer = self.answer(request)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=Blocks(answer.content))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Return what a hub says."""
        self.asked.append(request.url.path)
        if request.url.path == "/api/config":
            return httpx.Response(200, json=CONFIG)
        if request.url.path == "/api/episodes":
            self.wanted.append(dict(request.url.params))
            return httpx.Response(200, json={"episodes": [self.row(one) for one in self.episodes()], "next": None})
        if request.url.path == "/api/episodes/words":
            return httpx.Response(200, json={"task": [{"value": "lift", "episodes": 3}]})
        if request.url.path == "/api/bundles":  # of a hub that is older than this route
            return httpx.Response(404, json={"error": {"code": "http_404", "message": "Not Found"}})
        _, _, _, episode, _, name = request.url.path.split("/")
        if self.gone == name:
            return httpx.Response(410, json={"error": {"code": "episode_erased", "message": "its files were erased"}})
        if name != SCORE_FILE:
            return httpx.Response(200, content=(self.folder / episode / name).read_bytes())
        if self.endless:
            return httpx.Response(200, content=b" " * (3 << 20))
        if not self.scores:
            return httpx.Response(404, json={"error": {"code": "not_scored", "message": "has no score yet"}})
        return httpx.Response(200, content=encoded(recompute(self.folder / episode / "episode.h5")))

    def row(self, episode: str) -> dict[str, Any]:
        """Return what a search says of an episode."""
        file = decode((self.folder / episode / "manifest.json").read_bytes()).files[0]
        return {"episode": episode, "sha256": file.sha256, "size": file.size}

    def episodes(self) -> list[str]:
        return sorted(one.name for one in self.folder.iterdir())


class Blocks(httpx.SyncByteStream):
    """A body that comes in pieces, once."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self.data), 65536):
            yield self.data[at : at + 65536]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    served = Served(tmp_path / "hub")

    real = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **_: real(transport=served, base_url=URL))
    monkeypatch.chdir(tmp_path)
    return served


def fetched(*more: str) -> str:
    done = armshare_here("fetch", "episodes", "--hub", URL, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def verified(bundle: Path, *more: str) -> tuple[int, dict[str, Any], str]:
    """Return the exit code, the report, and what is said in words."""
    words = armshare_here("verify", str(bundle), "--no-replay", *more).stdout
    done = armshare_here("verify", str(bundle), "--no-replay", "--json", *more)
    return done.returncode, json.loads(done.stdout)[0], " ".join(words.split())


def test_a_score_comes_with_each_episode_and_is_said_to_be_signed_by_nobody(hub: Served, tmp_path: Path) -> None:
    made.bundles(hub.folder)
    said = fetched()
    assert "3 episodes, in episodes" in said
    assert "score.json beside it, which nobody signs: `armshare verify --score` computes it again" in said
    for episode in hub.episodes():
        kept = json.loads((tmp_path / "episodes" / episode / SCORE_FILE).read_bytes())
        assert kept == as_json(recompute(hub.folder / episode / "episode.h5"))


def test_a_score_that_was_not_there_yet_comes_with_the_next_fetch(hub: Served, tmp_path: Path) -> None:
    made.bundles(hub.folder)
    hub.scores = False
    assert "score.json" not in fetched()
    assert not list((tmp_path / "episodes").glob(f"*/{SCORE_FILE}"))
    hub.scores = True
    hub.asked.clear()
    assert "score.json" in fetched()
    assert len(list((tmp_path / "episodes").glob(f"*/{SCORE_FILE}"))) == 3
    assert not [path for path in hub.asked if path.endswith("episode.h5")], "the rest is left as it is"


def test_the_words_are_asked_of_the_hub_and_only_what_is_verified_is(hub: Served) -> None:
    made.bundles(hub.folder)
    fetched("--task", "lift", "--score-min", "0.8", "--object-path-min", "0.5", "--success", "true", "--order", "best")
    words = {"task": "lift", "score_min": "0.8", "object_path_min": "0.5", "success": "true", "order": "best"}
    assert hub.wanted == [{**words, "state": "verified", "limit": "200"}]


def test_what_is_not_verified_cannot_be_downloaded(hub: Served) -> None:
    done = armshare_here("fetch", "episodes", "--hub", URL, "--state", "rejected")
    assert (done.returncode, hub.wanted) == (2, [])
    assert "only the files of verified episodes are everybody's" in " ".join(done.stderr.split())


def test_if_nothing_is_found_the_values_that_there_are_are_said(hub: Served) -> None:
    hub.folder.mkdir()
    done = armshare_here("fetch", "episodes", "--hub", URL, "--task", "lft", "--success", "true")
    said = "no verified episodes found for task lft and success true; of task there are lift"
    assert (done.returncode, done.stderr.strip()) == (0, said)


@pytest.mark.parametrize("name", ["episode.h5", SCORE_FILE])
def test_what_the_hub_refuses_is_told_in_its_words(hub: Served, name: str) -> None:
    made.bundles(hub.folder)
    hub.gone = name
    done = armshare_here("fetch", "episodes", "--hub", URL)
    assert (done.returncode, "its files were erased" in " ".join(done.stderr.split())) == (1, True)


def test_a_score_without_an_end_is_not_read_to_its_end(hub: Served, tmp_path: Path) -> None:
    made.bundles(hub.folder)
    hub.endless = True
    done = armshare_here("fetch", "episodes", "--hub", URL)
    assert done.returncode == 2
    assert "sent more than 1,048,576 bytes of a file that has fewer" in " ".join(done.stderr.split())
    assert not [one for one in (tmp_path / "episodes").iterdir() if not one.name.startswith(".")]


def test_the_last_lines_say_that_another_camera_can_be_ordered_and_how(
    hub: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that is printed is taken as it is by the command line."""
    made.bundles(hub.folder)
    said = fetched()
    assert "order the same episodes from another camera as often as you like" in " ".join(said.split())
    words = shlex.split(said.splitlines()[-1])
    at = words.index("episodes/*")
    folders = sorted(str(one) for one in Path("episodes").iterdir())
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        "rewards.datasets.exporting.drawn",
        lambda *given: asked.append(given) or made.draw(given[0], "front", *made.SIZE),
    )
    monkeypatch.setattr("armshare.researcher.exports.gone_at", lambda _client: None)
    done = armshare_here(*words[1:at], *folders, *words[at + 1 :])
    assert done.returncode == 0, done.stderr
    assert {given[1:] for given in asked} == {("front", 320, 240)}


def test_the_cameras_of_the_scene_are_named(hub: Served) -> None:
    done = armshare_here("record", "--task", "reach", "--expert", "--episodes", "1", "--to", str(hub.folder))
    assert done.returncode == 0, done.stderr
    (bundle,) = [one for one in hub.folder.iterdir() if one.name.startswith("reach")]
    for other in hub.folder.iterdir():
        if other != bundle:
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    (bundle / "receipt.json").write_text("{}")
    assert "(there are front, side and wrist)" in " ".join(fetched().split())


def test_episodes_of_real_robots_are_offered_no_other_camera(hub: Served) -> None:
    hub.folder.mkdir()
    filmed_bundle(hub.folder)
    for loose in [one for one in hub.folder.iterdir() if one.is_file()]:
        loose.unlink()
    said = fetched()
    assert "1 episode, in episodes" in said
    assert "camera" not in said


def test_a_score_that_agrees_is_said_to_be_computed_and_not_signed(tmp_path: Path) -> None:
    (bundle, *_) = made.bundles(tmp_path)
    keep_score(bundle)
    code, report, said = verified(bundle, "--score")
    assert (code, report["score_file"]["standing"]) == (0, "agrees")
    assert "score.json says the same. Nobody signs it: this is computed from the file that is signed." in said
    code, report, said = verified(bundle)
    assert (code, report["score_file"]["standing"]) == (0, "not_compared")
    assert "nobody signs it, and --score computes it again" in said
    (bundle / SCORE_FILE).unlink()
    code, report, said = verified(bundle, "--score")
    assert (code, report["score_file"]["standing"]) == (0, "absent")
    assert "score.json" not in said


LIES: dict[str, dict[str, Any]] = {
    "score": {"score": 1.0},
    "accepted": {"accepted": False},
    "a part": {"vector": {"success": 1.0}},
    "a part more": {"skill": 1.0},
    "of the first rules": {"version": "1", "score": 0.5},
    "words for numbers": {"score": "0.99165"},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_score_that_lies_is_found_and_the_exit_code_says_so(tmp_path: Path, lie: dict[str, Any]) -> None:
    (bundle, *_) = made.bundles(tmp_path)
    keep_score(bundle)
    (bundle / SCORE_FILE).write_text(json.dumps(json.loads((bundle / SCORE_FILE).read_bytes()) | lie))
    code, report, said = verified(bundle, "--score")
    assert (code, report["score_file"]["standing"], report["refused"]) == (1, "differs", None)
    assert "the file gives" in said
    assert "Nobody signs that file: remove it." in said
    assert report["score"] == as_json(recompute(bundle / "episode.h5")), "what is computed is not what is said"


@pytest.mark.parametrize("junk", ["{", "[]", '{"score": 1}', "[" * 100_000, "\xff", " " * (2 << 20)])
def test_one_that_is_no_score_is_refused_in_a_sentence(tmp_path: Path, junk: str) -> None:
    (bundle, *_) = made.bundles(tmp_path)
    (bundle / SCORE_FILE).write_bytes(junk.encode("latin-1"))
    code, report, said = verified(bundle, "--score")
    assert (code, report["score_file"]["standing"]) == (1, "unreadable")
    assert "unreadable" in said
    assert "Remove it." in said


def test_rules_that_are_not_known_here_are_neither_believed_nor_called_a_lie(tmp_path: Path) -> None:
    (bundle, *_) = made.bundles(tmp_path)
    keep_score(bundle)
    said = json.loads((bundle / SCORE_FILE).read_bytes())
    (bundle / SCORE_FILE).write_text(json.dumps(said | {"version": "99", "score": 1.0}))
    code, report, words = verified(bundle, "--score")
    assert (code, report["score_file"]["standing"]) == (0, "unknown_rules")
    assert "by rules '99', which this release does not have, so it says nothing here" in words
