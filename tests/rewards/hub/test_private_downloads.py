"""Promises of downloads of private episodes: they come sealed, are opened here, and only for whoever may read them."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from armshare.researcher.downloading import Downloads, Outcome
from armshare.researcher.fetching import _found, download, release
from armshare.researcher.sealed import SEALED_FILE, key_of
from armshare.researcher.whole import Wanted, fault
from recorder.proof.verify import verify_bundle
from tests.recorder.bundles import TRUST
from tests.rewards.hub.private_house import SET, WALLETS, PrivateHouse, opened


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHouse]:
    with opened(tmp_path_factory.mktemp("private")) as made:
        yield made


@contextmanager
def signed_in(house: PrivateHouse, who: str) -> Iterator[httpx.Client]:
    """Give the client somebody's token for a while, and a purpose."""
    headers = {"Authorization": f"Bearer {who}", "Armshare-Purpose": "tests"} if who else {}
    house.client.headers.update(headers)
    yield house.client
    for name in headers:
        del house.client.headers[name]


def wanted(house: PrivateHouse) -> Wanted:
    said = house.ask("GET", "/api/episodes/e0").json()
    return Wanted("e0", said["sha256"], said["size"], said["private"])


def test_what_a_search_finds_comes_with_the_private_ones_for_a_reader(house: PrivateHouse, tmp_path: Path) -> None:
    with signed_in(house, "student") as client:
        got = list(Downloads(client, tmp_path).run(_found(client, {}, 10, None)))
    assert {(one.episode, one.outcome) for one in got} == {("e0", Outcome.FETCHED), ("e1", Outcome.FETCHED)}
    for one in got:
        assert verify_bundle(tmp_path / one.episode, TRUST).episode == one.episode
    assert stat.S_IMODE((tmp_path / "e0" / "episode.h5").stat().st_mode) == 0o600
    assert not (tmp_path / "e0" / SEALED_FILE).exists()
    told = house.ask("GET", "/api/episodes/e0/uses", "ada").json()["uses"]
    assert (WALLETS["student"], "key", "tests") in {(one["wallet"], one["what"], one["purpose"]) for one in told}


def test_without_a_wallet_the_private_ones_are_left_out_and_told(house: PrivateHouse) -> None:
    left: list[str] = []
    with signed_in(house, "") as client:
        found = [one.episode for one in _found(client, {}, 10, left.append)]
    assert (found, left) == (["e1"], ["e0"])


@pytest.mark.parametrize("who", ["", "mallory"])
def test_a_stranger_is_told_why_nothing_comes(house: PrivateHouse, tmp_path: Path, who: str) -> None:
    with signed_in(house, who) as client:
        (got,) = Downloads(client, tmp_path).run([wanted(house)])
    assert got.outcome is Outcome.FAILED
    assert "is private" in got.why
    assert not (tmp_path / "e0").exists()


def test_a_download_that_broke_off_goes_on(house: PrivateHouse, tmp_path: Path) -> None:
    sealed = house.ask("GET", f"/api/episodes/e0/files/{SEALED_FILE}", "lab").content
    part = tmp_path / ".e0.part"
    part.mkdir(parents=True)
    (part / SEALED_FILE).write_bytes(sealed[:1000])
    asked: list[str] = []
    with signed_in(house, "lab") as client:
        client.event_hooks["request"].append(lambda request: asked.append(request.headers.get("Range", "")))
        (got,) = Downloads(client, tmp_path).run([wanted(house)])
        client.event_hooks["request"].clear()
    assert got.outcome is Outcome.FETCHED
    assert "bytes=1000-" in asked


def test_what_does_not_open_is_fetched_again(house: PrivateHouse, tmp_path: Path) -> None:
    sealed = house.ask("GET", f"/api/episodes/e0/files/{SEALED_FILE}", "lab").content
    part = tmp_path / ".e0.part"
    part.mkdir(parents=True)
    (part / SEALED_FILE).write_bytes(sealed[:100] + bytes(900))
    with signed_in(house, "lab") as client:
        (got,) = Downloads(client, tmp_path, pause=lambda _s: None).run([wanted(house)])
    assert got.outcome is Outcome.FETCHED
    assert fault(tmp_path / "e0", wanted(house)) == ""


def test_a_private_data_set_comes_for_its_reader(house: PrivateHouse, tmp_path: Path) -> None:
    with signed_in(house, "student") as client:
        found = release(client, SET, tmp_path)
        assert found.private == {"e0"}
        got = list(download(client, found, tmp_path))
    assert [one.outcome for one in got] == [Outcome.FETCHED] * 2


def test_a_key_is_asked_for_by_name_and_says_what_it_opens(house: PrivateHouse) -> None:
    with signed_in(house, "owner") as client:
        key = key_of(client, "e0")
    assert (key.episode, key.size, key.sha256) == ("e0", wanted(house).size, wanted(house).sha256)
