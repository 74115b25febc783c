"""`armshare dataset`: what a researcher types, against a hub's own routes; and a card that lies is found."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from sqlalchemy import update

from armshare.platform.processes import listen
from recorder.file.episode import read_episode
from recorder.hub.store import FolderStore
from recorder.hub.tables import EpisodeRow
from rewards.datasets.card import Judged, Tally, encoded
from rewards.datasets.facts import facts_in
from rewards.datasets.version import FORMAT, Change, ChangeKind, DatasetVersion, Member, Split
from rewards.hub.datasets.api import router
from rewards.hub.datasets.cards import Cards
from rewards.score.score import score_of
from rewards.tables import SearchedRow
from teleop.hub import errors
from teleop.hub.accounts import Accounts
from teleop.hub.api import Challenge, ChallengeAnswer, Proof, SignedInAnswer
from teleop.hub.driving import bearer
from teleop.hub.server import serving
from teleop.identity import load_key
from tests.armshare.command import armshare_here
from tests.recorder.factory import WALLET
from tests.rewards.drives import recorded
from tests.rewards.hub.datasets.shop import Shop, opened

COUNT = 3
IDS = [f"e{at:05}" for at in range(COUNT)]


def app_of(shop: Shop, url: str) -> FastAPI:
    """Return a hub's data sets, with its own signing in."""
    app, accounts = FastAPI(), Accounts(shop.database, url, 31337)
    errors.install(app)
    app.get("/api/config")(lambda: {"chain_id": 31337, "vault": "0x", "hub": "0x", "log_public_key": ""})

    @app.post("/api/auth/challenge")
    def challenge(body: Challenge) -> ChallengeAnswer:
        nonce, message = accounts.challenge(body.address)
        return ChallengeAnswer(nonce=nonce, message=message)

    @app.post("/api/auth/verify")
    def verify(body: Proof) -> SignedInAnswer:
        signed = accounts.verify(body.nonce, body.signature)
        return SignedInAnswer(token=signed.token, address=signed.address, expires_ms=signed.expires_ms)

    def signed_in(request: Request) -> str:
        return accounts.address_of(bearer(request))

    app.include_router(router(shop.database, shop.changes, shop.consent, signed_in))
    app.get("/api/operators/{address}/unsigned")(lambda address: [])
    return app


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of episodes, as `armshare fetch` leaves them, but for what nobody reads here."""
    folder = tmp_path_factory.mktemp("episodes")
    for at, episode in enumerate(IDS):
        file = recorded(folder / "recorded", episode=episode, seed=at)
        (folder / episode).mkdir()
        file.rename(folder / episode / "episode.h5")
    return folder


@pytest.fixture
def shop(tmp_path: Path, episodes: Path) -> Iterator[Shop]:
    """A hub that has them verified and scored."""
    made = opened(tmp_path)
    made.stock(COUNT, operator=WALLET.address)
    with made.database() as db, db.begin():
        for episode in IDS:
            file = episodes / episode / "episode.h5"
            said = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "size": file.stat().st_size, "trust": None}
            db.execute(update(EpisodeRow).where(EpisodeRow.episode == episode).values(**said))
            score = score_of(read_episode(file))
            kept = {"rules": score.version, "score_ppm": score.score_ppm}
            db.execute(update(SearchedRow).where(SearchedRow.episode == episode).values(**kept))
    yield made
    made.database.kw["bind"].dispose()


@pytest.fixture
def url(shop: Shop) -> Iterator[str]:
    listener = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(serving.config(app_of(shop, address)))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield address
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "researcher.key"


def typed(*arguments: str, code: int = 0) -> str:
    done = armshare_here(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code < 2 else done.stderr


def created(url: str, key: Path, *arguments: str) -> dict[str, Any]:
    said = "--title", "Lifts", "--licence", "CC-BY-4.0", "--key", str(key), "--hub", url, "--json"
    return dict(json.loads(typed("dataset", "create", "lab/lift", *arguments, *said)))


def test_a_data_set_is_made_listed_changed_and_shown(url, key):
    said = created(url, key, "--search", "task=lift score_min=0.1 order=oldest", "--splits", "0.5,0.25,0.25")
    assert (said["episodes"], said["owner"]) == (COUNT, load_key(key).address)
    signed = "--key", str(key), "--hub", url
    assert "lab/lift@2" in typed("dataset", "withdraw", "lab/lift", IDS[0], "--reason", "dark", *signed)
    assert "lab/lift@3" in typed("dataset", "append", "lab/lift", IDS[0], *signed)
    assert "lab/lift@4  Better" in typed("dataset", "describe", "lab/lift", "--title", "Better", *signed)
    assert "lab/lift@4" in typed("dataset", "list", "--query", "better", "--task", "lift", "--hub", url)
    assert "withdrawn: dark" in typed("dataset", "show", "lab/lift@2", "--hub", url)
    assert "no data sets found" in typed("dataset", "list", "--task", "peg", "--hub", url)


def test_what_a_hub_refuses_is_one_line(url, key, tmp_path):
    created(url, key, *IDS)
    other = "--key", str(tmp_path / "other.key"), "--hub", url
    assert "can only be changed by" in typed("dataset", "append", "lab/lift", IDS[0], *other, code=2)
    assert "not known to this hub" in typed(
        "dataset", "append", "lab/lift", "e9", "--key", str(key), "--hub", url, code=2
    )
    assert "@9" not in typed("dataset", "show", "lab/lift@9", "--hub", url, code=2)
    assert "NAMESPACE/NAME" in typed("dataset", "show", "lift", "--hub", url, code=2)
    assert "task=lift" in typed("dataset", "append", "lab/lift", "--search", "lift", "--hub", url, code=2)
    assert "0.8,0.1,0.1" in typed("dataset", "create", "lab/x", "--splits", "half", "--hub", url, code=2)


def test_an_operator_ends_consent_from_the_terminal(shop, url, key, tmp_path):
    created(url, key, *IDS)
    wallet = tmp_path / "operator.key"
    wallet.write_text("0x" + bytes(WALLET.key).hex())
    wallet.chmod(0o600)
    said = typed("drive", "--withdraw", IDS[1], "--reason", "no more", "--key", str(wallet), "--hub", url)
    assert "without it there are now lab/lift@2" in " ".join(said.split())
    found = shop.sets.newest("lab/lift")
    assert found is not None
    assert [one.episode for one in found.episodes] == [IDS[0], IDS[2]]


@pytest.fixture
def shown(shop: Shop, url: str, key: Path, episodes: Path, tmp_path: Path) -> Path:
    """A folder with a version, its card and its episodes."""
    created(url, key, *IDS)
    folder = tmp_path / "shown"
    shutil.copytree(episodes, folder)
    asyncio.run(Cards(shop.database, FolderStore(episodes), None).work())
    typed("dataset", "show", "lab/lift", "--to", str(folder), "--hub", url)
    return folder


def test_a_card_is_made_again_from_the_files_without_a_hub(shown, url):
    assert f"says what its {COUNT} episodes say" in typed("dataset", "card", str(shown), "--check")
    checked = json.loads(
        typed("dataset", "card", "lab/lift", "--check", "--episodes", str(shown), "--hub", url, "--json")
    )
    assert (checked["wrong"], checked["episodes"]) == ([], COUNT)
    assert "success: 100.0 %" in typed("dataset", "card", "lab/lift", "--hub", url)


def test_a_card_that_contradicts_its_data_is_found_and_so_is_data_that_is_not_the_sets(shown):
    card = json.loads((shown / "card.json").read_text())
    lied = card | {"success": {"true": 300}, "scores": [card["scores"][0] | {"mean": 1.0}]}
    (shown / "card.json").write_text(json.dumps(lied))
    said = typed("dataset", "card", str(shown), "--check", code=1)
    assert "scores[0].mean: the card says 1.0, and the episodes say 0." in said
    assert "success.true: the card says 300, and the episodes say 3" in said
    (shown / "card.json").write_text(json.dumps(card))
    shutil.copy(shown / IDS[0] / "episode.h5", shown / IDS[1] / "episode.h5")
    assert f"{IDS[1]}: the file is not the one that the version names" in typed(
        "dataset", "card", str(shown), "--check", code=1
    )
    shutil.rmtree(shown / IDS[2])
    assert f"{IDS[2]} is not here" in typed("dataset", "card", str(shown), "--check", code=1)
    (shown / "card.json").write_text(json.dumps(card | {"digest": "0" * 64}))
    assert "The card is of the version 000" in typed("dataset", "card", str(shown), "--check", code=1)
    (shown / "version.json").write_text((shown / "version.json").read_text().replace("{", "{ ", 1))
    assert "not canonical" in typed("dataset", "card", str(shown), "--check", code=2)


def test_a_test_that_leaks_is_found_from_the_files(tmp_path):
    files = {name: recorded(tmp_path / "recorded", episode=name, seed=7) for name in ("e1", "e2")}
    splits = {"e1": Split.TRAIN, "e2": Split.TEST}
    for name, file in files.items():
        (tmp_path / name).mkdir()
        shutil.copy(file, tmp_path / name / "episode.h5")
    every = tuple(
        Member(name, "0x" + "0" * 64, hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size, splits[name])
        for name, file in files.items()
    )
    said = {"title": "t", "description": "", "licence": "MIT", "owner": WALLET.address, "made_ms": 1}
    change = Change(ChangeKind.CREATED, "")
    version = DatasetVersion(FORMAT, "lab/lift", 1, "", **said, change=change, episodes=every)
    tally = Tally(version, version.digest)
    for one in every:
        score = score_of(read_episode(files[one.episode]))
        tally.add(one, facts_in(files[one.episode]), Judged(score.version, score.score_ppm, None, False))
    (tmp_path / "version.json").write_bytes(version.encode())
    (tmp_path / "card.json").write_bytes(encoded(tally.card()))
    assert "e2 (test) begins as e1 (train) does: the test leaks" in typed(
        "dataset", "card", str(tmp_path), "--check", code=1
    )
