"""A policy is named by the bytes of what it is made of: its module's file, and its checkpoint."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from sim.strangers import UnknownPolicyError, fingerprint, sha256_of


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "policy_of_files.py").write_text("raise SystemExit('it is imported')\n")
    (tmp_path / "weights.npz").write_bytes(b"weights")
    return tmp_path


def test_a_policy_without_a_checkpoint_is_its_modules_file_which_is_not_run(here):
    expected = hashlib.sha256((here / "policy_of_files.py").read_bytes()).hexdigest()
    assert fingerprint("policy_of_files:load") == expected


def test_another_checkpoint_is_another_policy_and_so_is_another_module(here):
    found = {fingerprint("policy_of_files:load"), fingerprint("policy_of_files:load", here / "weights.npz")}
    (here / "weights.npz").write_bytes(b"other weights")
    found.add(fingerprint("policy_of_files:load", here / "weights.npz"))
    (here / "policy_of_files.py").write_text("# another\n")
    found.add(fingerprint("policy_of_files:load", here / "weights.npz"))
    assert len(found) == 4


def test_bytes_that_move_from_one_file_to_the_other_change_it(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"ab")
    other.write_bytes(b"c")
    before = sha256_of(one, other)
    one.write_bytes(b"a")
    other.write_bytes(b"bc")
    assert sha256_of(one, other) != before != sha256_of(other, one)


def test_anyone_can_compute_it_with_a_shell(here):
    said = "sha256sum policy_of_files.py weights.npz | cut -c 1-64 | sha256sum | cut -c 1-64"
    found = subprocess.run(["sh", "-c", said], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    assert fingerprint("policy_of_files:load", here / "weights.npz") == found


def test_a_folder_counts_with_the_names_and_bytes_of_its_files(here):
    folder = here / "checkpoint"
    (folder / "b").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "b" / "model.bin").write_bytes(b"1")
    said = "cd checkpoint && find . -type f | cut -c 3- | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c 1-64"
    found = subprocess.run(["sh", "-c", said], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    assert sha256_of(folder) == found
    (folder / "b" / "model.bin").rename(folder / "b" / "other.bin")
    assert sha256_of(folder) != found


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("policy_of_files", "does not name a policy: write module:function"),
        ("no_such_module:load", "No module named 'no_such_module'; it is looked for in"),
        ("no_such.module:load", "No module named 'no_such'; it is looked for in"),
        ("sys:exit", "sys has no file, so nobody could say which policy drove"),
    ],
)
def test_what_is_no_policy_in_a_file_is_refused_in_a_sentence(here, name, says):
    with pytest.raises(UnknownPolicyError, match=says):
        fingerprint(name)


def test_a_checkpoint_that_is_gone_is_named(here):
    with pytest.raises(UnknownPolicyError, match=r"gone\.npz cannot be read"):
        fingerprint("policy_of_files:load", here / "gone.npz")
