"""A grant serves once at a robot, whatever a hub says, and a restart forgets none."""

from __future__ import annotations

from pathlib import Path

import pytest

from teleop.host import grants
from teleop.host.grants import GrantUsedError, UsedGrants

NOW = 1_000_000
LATER = NOW + 1000


def test_a_grant_serves_once_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "grants"
    used = UsedGrants(path)
    used.use("0xAB", LATER, NOW)
    used.use("0xcd", LATER, NOW)
    for again in (used, UsedGrants(path)):
        for nonce in ("0xab", "0xAB", "0xcd"):
            with pytest.raises(GrantUsedError, match="has not been used yet"):
                again.use(nonce, LATER, NOW)
    UsedGrants(path).use("0xef", LATER, NOW)
    assert len(UsedGrants(path)) == 3


def test_what_has_run_out_is_forgotten_in_memory_and_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "grants"
    used = UsedGrants(path)
    for number in range(50):
        used.use(f"0x{number}", NOW, NOW)
    used.use("0xlast", LATER + 5, LATER)
    assert len(used) == len(UsedGrants(path)) == 1
    assert path.read_text() == f"{LATER + 5} 0xlast\n"


def test_no_more_are_remembered_than_fit_and_none_is_forgotten_before_it_has_run_out(tmp_path: Path) -> None:
    used = UsedGrants(tmp_path / "grants", most=3)
    for number in range(3):
        used.use(f"0x{number}", LATER, NOW)
    with pytest.raises(GrantUsedError, match="fewer than 3"):
        used.use("0x3", LATER, NOW)
    with pytest.raises(GrantUsedError, match="has not been used yet"):
        used.use("0x0", LATER, NOW)
    used.use("0x3", LATER + 9, LATER + 1)


@pytest.mark.parametrize("torn", ["", "1000", f"{LATER} ", "not a line\n", "\x00\x00\n", f"{LATER} 0xcd\n12"])
def test_a_file_that_a_crash_tore_is_read_as_far_as_it_goes(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "grants"
    path.write_text(f"{LATER} 0xab\n{torn}")
    used = UsedGrants(path)
    with pytest.raises(GrantUsedError):
        used.use("0xab", LATER, NOW)
    used.use("0xef", LATER, NOW)
    with pytest.raises(GrantUsedError):
        UsedGrants(path).use("0xef", LATER, NOW)


@pytest.mark.parametrize("nonce", ["", " ", "0xab\n9 0xcd", "a b", "../x"])
def test_a_nonce_that_is_none_is_refused(tmp_path: Path, nonce: str) -> None:
    with pytest.raises(GrantUsedError, match="expected a grant with a nonce"):
        UsedGrants(tmp_path / "grants").use(nonce, LATER, NOW)


def test_what_cannot_be_remembered_does_not_serve(tmp_path: Path) -> None:
    used = UsedGrants(tmp_path / "not there" / "grants")
    with pytest.raises(GrantUsedError, match="cannot be recorded"):
        used.use("0xab", LATER, NOW)
    assert len(used) == 0


def test_it_is_on_the_disk_before_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    sync = grants.os.fsync
    monkeypatch.setattr(grants.os, "fsync", lambda file: (synced.append((tmp_path / "grants").read_text()), sync(file)))
    UsedGrants(tmp_path / "grants").use("0xab", LATER, NOW)
    assert synced == 2 * [f"{LATER} 0xab\n"], "the file, and the folder that it is new in"
