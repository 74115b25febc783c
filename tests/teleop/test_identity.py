"""Secrets on the disk."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from teleop.identity import kept_secret, load_key

TOGETHER = 16


def test_a_key_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "keys" / "owner.key"
    made = load_key(path)
    assert load_key(path).address == made.address
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["owner.key"]


def test_of_many_who_find_no_secret_all_read_the_same(tmp_path):
    path, start = tmp_path / "secret", Barrier(TOGETHER)

    def read(number: int) -> str:
        start.wait()
        return kept_secret(path, lambda: f"secret {number}")

    with ThreadPoolExecutor(TOGETHER) as threads:
        found = set(threads.map(read, range(TOGETHER)))
    assert found == {path.read_text().strip()}
    assert len(list(tmp_path.iterdir())) == 1
