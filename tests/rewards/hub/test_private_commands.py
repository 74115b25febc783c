"""Promises of the commands about what is private: an owner decides, a reader fetches, a stranger is told why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount

from recorder.proof.verify import verify_bundle
from tests.armshare.command import armshare_here
from tests.recorder.bundles import LOG_KEY, TRUST
from tests.recorder.factory import DOMAIN, HUB, MALLORY, fixed_key
from tests.rewards.hub.private_house import SET, WALLETS, PrivateHouse, opened

PINS = {"chain_id": DOMAIN.chain_id, "vault": DOMAIN.vault, "hub": HUB.address, "log_public_key": LOG_KEY.verifier}
PURPOSE = "a policy for our paper"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHouse]:
    with opened(tmp_path_factory.mktemp("private")) as made:
        yield made


def key_file(path: Path, wallet: LocalAccount) -> str:
    """Write a wallet's key; return where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text("0x" + bytes(wallet.key).hex() + "\n")
    return str(path)


def test_a_reader_fetches_says_what_for_and_verifies(house: PrivateHouse, tmp_path: Path) -> None:
    key = key_file(tmp_path / "lab.key", fixed_key("lab"))
    folder = str(tmp_path / "episodes")
    done = armshare_here("fetch", folder, "--task", "lift", "--hub", house.url, "--key", key, "--purpose", PURPOSE)
    assert (done.returncode, "2 episodes" in done.stdout) == (0, True), done.stderr
    assert verify_bundle(tmp_path / "episodes" / "e0", TRUST).episode == "e0"
    told = house.ask("GET", "/api/episodes/e0/uses", "ada").json()["uses"]
    assert {one["purpose"] for one in told if one["wallet"] == WALLETS["lab"]} >= {PURPOSE}
    done = armshare_here("download", SET, str(tmp_path / "kitchen"), "--hub", house.url, "--key", key)
    assert done.returncode == 0, done.stderr
    assert verify_bundle(tmp_path / "kitchen" / "e0", TRUST).episode == "e0"


def test_a_sealed_recording_is_verified_where_it_is(house: PrivateHouse, tmp_path: Path) -> None:
    """Such as one that was copied from the bucket."""
    folder = tmp_path / "e0"
    folder.mkdir()
    for name in ("manifest.json", "signatures.json", "receipt.json"):
        (folder / name).write_bytes(house.ask("GET", f"/api/episodes/e0/files/{name}").content)
    sealed = house.ask("GET", "/api/episodes/e0/files/episode.h5.sealed", "lab").content
    (folder / "episode.h5.sealed").write_bytes(sealed)
    before = sorted(path.name for path in folder.iterdir())
    pins = tmp_path / "pins.json"
    pins.write_text(json.dumps(PINS))
    words = ["verify", str(folder), "--pins", str(pins), "--no-replay"]
    assert "is sealed" in " ".join(armshare_here(*words).stderr.split())
    key = key_file(tmp_path / "lab.key", fixed_key("lab"))
    done = armshare_here(*words, "--hub", house.url, "--key", key)
    assert (done.returncode, "verified" in done.stdout) == (0, True), done.stdout + done.stderr
    stranger = key_file(tmp_path / "mallory.key", MALLORY)
    done = armshare_here(*words, "--hub", house.url, "--key", stranger)
    assert (done.returncode, "is private" in " ".join(done.stderr.split())) == (2, True)
    (folder / "episode.h5.sealed").write_bytes(sealed[:-1])
    done = armshare_here(*words, "--hub", house.url, "--key", key)
    assert (done.returncode, "cannot be opened" in " ".join(done.stderr.split())) == (2, True)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_stranger_is_told_what_is_left_out_and_why(house: PrivateHouse, tmp_path: Path) -> None:
    done = armshare_here("fetch", str(tmp_path / "one"), "--hub", house.url)
    assert done.returncode == 0
    assert "1 private episode was left out" in " ".join(done.stderr.split())
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["e1"]
    key = key_file(tmp_path / "mallory.key", MALLORY)
    done = armshare_here("fetch", str(tmp_path / "two"), "--hub", house.url, "--key", key)
    assert (done.returncode, "e0 is private" in " ".join(done.stderr.split())) == (1, True)
    done = armshare_here("download", SET, str(tmp_path / "three"), "--hub", house.url, "--key", key)
    assert (done.returncode, "has private episodes" in " ".join(done.stderr.split())) == (2, True)
    done = armshare_here("fetch", str(tmp_path / "four"), "--hub", house.url, "--key", str(tmp_path / "none.key"))
    assert (done.returncode, (tmp_path / "none.key").exists()) == (2, False)
    assert armshare_here("fetch", str(tmp_path), "--hub", house.url, "--purpose", "x").returncode == 2


def test_the_owner_of_a_set_names_its_readers(house: PrivateHouse, tmp_path: Path) -> None:
    key = key_file(tmp_path / "lab.key", fixed_key("lab"))
    words = ["dataset", "readers", SET, "--hub", house.url, "--key", key]
    assert WALLETS["student"] in armshare_here(*words).stdout
    done = armshare_here(*words, "--reader", WALLETS["ada"], "--reader", WALLETS["student"])
    assert (done.returncode, done.stdout.count("is read by")) == (0, 2)
    assert "no readers" in armshare_here(*words, "--nobody").stdout
    assert house.code("GET", "/api/episodes/e0/key", "student") == (403, "not_reader")
    assert armshare_here(*words, "--nobody", "--reader", WALLETS["ada"]).returncode == 2


def test_the_hubs_key_is_renewed_beside_it(house: PrivateHouse) -> None:
    before = house.ask("GET", "/api/episodes/e0/key", "ada").json()
    done = armshare_here("rotate-key", "--data", str(house.data))
    assert (done.returncode, done.stdout.startswith("1 keys")) == (0, True), done.stderr
    assert house.ask("GET", "/api/episodes/e0/key", "ada").json() == before


def test_an_owner_decides_at_the_command_line(house: PrivateHouse, tmp_path: Path) -> None:
    key_file(tmp_path / "keys" / "owner.key", fixed_key("owner"))
    words = ["privacy", "arm", "--hub", house.url, "--data", str(tmp_path)]
    done = armshare_here(*words)
    assert done.stdout.split("\n")[:2] == ["arm is private", f"  what is private is read by {WALLETS['lab']}"]
    reader = ["--reader", WALLETS["student"], "--reader", WALLETS["lab"]]
    assert armshare_here(*words[:2], "private", *reader, *words[2:]).stdout.count("read by") == 2
    assert armshare_here(*words[:2], "public", *words[2:]).stdout == "arm is public\n"
    assert armshare_here(*words, "--reader", WALLETS["lab"]).returncode == 2
    assert house.code("GET", "/api/episodes/e0/key", "lab") == (403, "not_reader")  # what was private stays so
