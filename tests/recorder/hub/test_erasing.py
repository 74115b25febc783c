"""What nobody keeps is erased when it is due, and not before; what counts is never touched."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from recorder.hub.erasing import DAY_MS, Erasing
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import BUNDLE_FILES
from teleop.hub.db import Database
from teleop.wire.reasons import EndReason
from tests.recorder.bundles import sealed_bundle
from tests.recorder.factory import WALLET
from tests.recorder.hub.test_api import handed_in, seal, sign, upload
from tests.recorder.served import Hub, bearer, code

KEPT_MS = 30 * DAY_MS


class Clock:
    def __init__(self) -> None:
        self.ms = 1_750_000_200_000

    def now_ms(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def erasing(hub: Hub, clock: Clock) -> Erasing:
    return Erasing(hub.database, hub.store, clock.now_ms, KEPT_MS)


def row_of(database: Database, episode: str) -> EpisodeRow:
    with database() as db:
        return db.get_one(EpisodeRow, episode)


def kept(hub: Hub, episode: str) -> set[str]:
    return {name for name in BUNDLE_FILES if hub.store.has(episode, name)}


def test_what_was_discarded_is_erased_at_the_next_sweep(
    tmp_path: Path, hub: Hub, web: httpx.Client, erasing: Erasing
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    assert erasing.sweep() == []
    assert kept(hub, bundle.name)
    web.post(f"/api/episodes/{bundle.name}/discard", headers=bearer(WALLET.address))

    assert erasing.sweep() == [bundle.name]
    assert kept(hub, bundle.name) == set()
    assert not hub.store.folder(bundle.name).exists()
    assert erasing.sweep() == [], "nothing is left to do"
    assert row_of(hub.database, bundle.name).digest, "its row says what it was"


def test_what_nobody_signed_is_discarded_and_erased_when_its_time_is_over_and_cannot_be_signed_any_more(
    tmp_path: Path, hub: Hub, web: httpx.Client, erasing: Erasing, clock: Clock
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    created_ms = row_of(hub.database, bundle.name).created_ms
    clock.ms = created_ms + KEPT_MS
    assert erasing.sweep() == []

    clock.ms += 1
    assert erasing.sweep() == [bundle.name]
    shown = web.get(f"/api/episodes/{bundle.name}").json()
    assert (shown["state"], shown["reason"]) == ("discarded", "its operator did not sign it in time")
    assert kept(hub, bundle.name) == set()
    assert code(sign(web, bundle)) == (409, "episode_state")
    assert web.get(f"/api/operators/{WALLET.address}/unsigned").json() == []


def test_what_never_came_is_not_waited_for_for_ever(
    tmp_path: Path, hub: Hub, web: httpx.Client, erasing: Erasing, clock: Clock
) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    location = upload(web, bundle)
    clock.ms = row_of(hub.database, bundle.name).created_ms + KEPT_MS + 1

    assert erasing.sweep() == [bundle.name]
    assert web.get(f"/api/episodes/{bundle.name}").json()["reason"] == "its host did not send it in time"
    assert seal(web, bundle, location).json()["state"] == "discarded"


def test_what_was_refused_is_kept_for_its_time_and_then_its_files_are_gone(
    tmp_path: Path, hub: Hub, web: httpx.Client, erasing: Erasing, clock: Clock
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    hub.records.reject(bundle.name, "0x", "MotionInvalid: it jumps")
    assert erasing.sweep() == []
    file = f"/api/episodes/{bundle.name}/files/episode.h5"
    assert web.get(file, headers=bearer(WALLET.address)).status_code == 200

    clock.ms = row_of(hub.database, bundle.name).created_ms + KEPT_MS + 1
    assert erasing.sweep() == [bundle.name]
    assert code(web.get(file, headers=bearer(WALLET.address))) == (410, "episode_erased")
    shown = web.get(f"/api/episodes/{bundle.name}").json()
    assert (shown["state"], shown["reason"], shown["size"]) == ("rejected", "MotionInvalid: it jumps", None)
    assert erasing.sweep() == []


@pytest.mark.parametrize("valid", [True, False])
def test_what_counts_or_failed_by_itself_is_never_touched(
    tmp_path: Path, hub: Hub, web: httpx.Client, erasing: Erasing, clock: Clock, valid: bool
) -> None:
    bundle = handed_in(web, hub, tmp_path, **({} if valid else {"reason": EndReason.ESTOPPED}))
    if valid:
        assert sign(web, bundle).status_code == 200
    before = kept(hub, bundle.name)
    clock.ms += 100 * KEPT_MS

    assert erasing.sweep() == []
    assert kept(hub, bundle.name) == before != set()
