"""A refused episode is erased or looked at again, whichever comes first: never half of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy.orm import Session

from recorder.hub.erasing import Erasing
from recorder.hub.records import EpisodeErasedError
from recorder.hub.rows import require_owned
from recorder.hub.states import EpisodeState
from recorder.hub.store import FolderStore
from recorder.hub.tables import EpisodeRow
from recorder.proof.seal import read_sealed
from tests.recorder.bundles import sealed_bundle, sign_as_operator
from tests.recorder.factory import DOMAIN, SESSION, WALLET
from tests.recorder.hub.test_api import seal, upload
from tests.recorder.hub.test_erasing import KEPT_MS, Clock, kept, row_of
from tests.recorder.served import Hub, bearer, code


class Watched(FolderStore):
    """Does something just before it erases."""

    def __init__(self, root: Path, before: Callable[[str], None]) -> None:
        super().__init__(root)
        self._before = before

    def erase(self, episode: str) -> None:
        self._before(episode)
        super().erase(episode)


def rejected(hub: Hub, web: httpx.Client, folder: Path, name: str) -> Path:
    """Hand in a good episode, which a gate has refused."""
    previous = "0x" + 64 * "0"
    bundle = sealed_bundle(folder / name, episode=name, previous=previous)
    hub.begin(name)
    assert seal(web, bundle, upload(web, bundle)).json()["state"] == "uploaded"
    signature = sign_as_operator((bundle / "manifest.json").read_bytes(), SESSION, DOMAIN)
    hub.records.reject(name, signature, "ReplayMismatch: a mistake of ours")
    assert read_sealed(bundle).valid
    return bundle


def look_again(web: httpx.Client, episode: str) -> httpx.Response:
    return web.post(f"/api/episodes/{episode}/another-look", headers=bearer(WALLET.address), json={})


def test_a_look_that_comes_before_an_episodes_turn_is_had_and_one_that_comes_after_is_told(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    first, second = (rejected(hub, web, tmp_path, name) for name in ("e1", "e2"))
    answers: dict[str, httpx.Response] = {}

    def both_ask(episode: str) -> None:
        assert episode == "e1", "the second is looked at again: it is not erased"
        answers.update({name: look_again(web, name) for name in ("e1", "e2")})

    clock = Clock()
    clock.ms = row_of(hub.database, second.name).created_ms + KEPT_MS + 1
    sweeping = Erasing(hub.database, Watched(tmp_path / "hub" / "episodes", both_ask), clock.now_ms, KEPT_MS)
    assert sweeping.sweep() == ["e1"]

    assert code(answers["e1"]) == (410, "episode_erased")
    assert (row_of(hub.database, "e1").state, kept(hub, "e1")) == (EpisodeState.REJECTED, set())
    assert row_of(hub.database, "e1").looked_again_ms is None
    assert answers["e2"].json()["state"] == "verified"
    assert kept(hub, "e2")
    assert first.name == "e1"


def test_an_erasing_that_was_interrupted_is_finished_and_nobody_looks_meanwhile(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = rejected(hub, web, tmp_path, "e1")
    clock = Clock()
    clock.ms = row_of(hub.database, bundle.name).created_ms + KEPT_MS + 1

    def pulled(_episode: str) -> None:
        raise OSError("the plug")

    with pytest.raises(OSError, match="the plug"):
        Erasing(hub.database, Watched(tmp_path / "hub" / "episodes", pulled), clock.now_ms, KEPT_MS).sweep()
    assert code(look_again(web, "e1")) == (410, "episode_erased")
    assert not web.get("/api/episodes/e1").json()["another_look"]
    assert code(web.get("/api/episodes/e1/files/episode.h5", headers=bearer(WALLET.address))) == (
        410,
        "episode_erased",
    )

    assert Erasing(hub.database, hub.store, clock.now_ms, KEPT_MS).sweep() == ["e1"]
    assert (kept(hub, "e1"), row_of(hub.database, "e1").size) == (set(), None)


def test_a_look_that_was_asked_for_is_never_taken_back_by_a_sweep(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    rejected(hub, web, tmp_path, "e1")
    hub.records.look_again("e1")
    clock = Clock()
    clock.ms = row_of(hub.database, "e1").created_ms + KEPT_MS + 1
    erasing = Erasing(hub.database, hub.store, clock.now_ms, KEPT_MS)

    assert erasing.sweep() == []
    assert not erasing._given_up("e1")
    assert row_of(hub.database, "e1").erased_ms is None


def test_what_was_signed_while_the_late_were_listed_is_not_discarded(
    tmp_path: Path, hub: Hub, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = sealed_bundle(tmp_path / "e1", episode="e1")
    hub.begin("e1")
    seal(web, bundle, upload(web, bundle))
    clock = Clock()
    clock.ms = row_of(hub.database, "e1").created_ms + KEPT_MS + 1
    erasing = Erasing(hub.database, hub.store, clock.now_ms, KEPT_MS)

    def signed_meanwhile(db: Session, episode: str) -> EpisodeRow:
        hub.records.hold(episode, "0x", "WorkerLost: ")
        return require_owned(db, episode)

    monkeypatch.setattr("recorder.hub.erasing.require_owned", signed_meanwhile)
    assert list(erasing._discard_late()) == []
    assert row_of(hub.database, "e1").state is EpisodeState.HELD


def test_without_files_there_is_nothing_to_look_at(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    rejected(hub, web, tmp_path, "e1")
    with hub.database() as db, db.begin():
        db.get_one(EpisodeRow, "e1").size = None
    with pytest.raises(EpisodeErasedError, match="the time for which its files are kept is over"):
        hub.records.look_again("e1")
