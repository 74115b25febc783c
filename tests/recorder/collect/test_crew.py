"""Several processes make a folder's episodes; whatever ends them, there are only whole ones."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recorder.collect.crew import Job, collect
from recorder.collect.folder import CollectError, Folder, Made
from recorder.proof.case import Trust
from recorder.proof.hubless import NO_HUB
from recorder.proof.verify import verify_bundle
from teleop.operator.pilot import expert_said
from teleop.operator.policy import PolicyError, said
from teleop.wire.driver import Driver, DriverKind

pytestmark = pytest.mark.slow
POLICY = '''
"""Policies of a test."""

import os


def broken(values, robot):
    raise ValueError("no weights")


def gone(values, robot):
    os._exit(3)
'''


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a module of policies into the working directory."""
    (tmp_path / "collected_policies.py").write_text(POLICY)
    monkeypatch.chdir(tmp_path)


def job(tmp_path: Path, policy: str = "") -> Job:
    """Return a job of a Panda at reach, by its expert if no policy is named."""
    driver = said(policy) if policy else expert_said({"model": "panda"}, "reach")
    return Job(Made("panda", "reach", driver), tmp_path / "episodes", policy, None, replay=True)


def episodes(one: Job) -> list[str]:
    """Return the episodes of a job's folder."""
    return sorted(path.name for path in one.folder.iterdir() if not path.name.startswith("."))


def test_workers_share_the_seeds_and_each_episode_passes(tmp_path: Path) -> None:
    one = job(tmp_path)
    with Folder(one.folder).held(one.made):
        made = list(collect(one, range(4), workers=2))
    assert sorted(attempt.seed for attempt in made) == [0, 1, 2, 3]
    assert episodes(one) == [f"reach-panda-{seed}" for seed in range(4)]
    reports = [verify_bundle(one.folder / name, Trust(NO_HUB)) for name in episodes(one)]
    assert len({report.content_root for report in reports}) == 4


def test_who_stops_in_between_leaves_whole_episodes_only(tmp_path: Path) -> None:
    one = job(tmp_path)
    folder = Folder(one.folder)
    with folder.held(one.made):
        making = collect(one, range(1000), workers=1)
        next(making)
        making.close()  # type: ignore[attr-defined]  # it is a generator
    found = episodes(one)
    assert 1 <= len(found) < 20
    for name in found:
        verify_bundle(one.folder / name, Trust(NO_HUB))
    assert list(folder.making.iterdir()) == []


def test_a_policy_that_raises_ends_the_run_with_its_words(tmp_path: Path, policies: None) -> None:
    one = job(tmp_path, "collected_policies:broken")
    with Folder(one.folder).held(one.made), pytest.raises(PolicyError, match="no weights"):
        list(collect(one, range(9), workers=1))
    assert episodes(one) == []


def test_a_process_that_dies_is_told_and_does_not_hang(tmp_path: Path, policies: None) -> None:
    one = job(tmp_path, "collected_policies:gone")
    with Folder(one.folder).held(one.made), pytest.raises(CollectError, match="ended, perhaps for lack of memory"):
        list(collect(one, range(9), workers=1))
    assert episodes(one) == []


def test_a_policy_is_said_by_its_name_and_the_digest_of_its_file(tmp_path: Path, policies: None) -> None:
    digest = hashlib.sha256((tmp_path / "collected_policies.py").read_bytes()).hexdigest()
    assert said("collected_policies:broken") == Driver(DriverKind.POLICY, "collected_policies:broken", digest)


def test_ctrl_c_in_a_terminal_comes_to_every_process_and_ends_them_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "episodes"
    words = ["record", "--task", "reach", "--expert", "--episodes", "1000", "--to", str(folder), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "armshare", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while process.poll() is None and not any(folder.glob("reach-*")):
            time.sleep(0.05)  # the first episode is another process's to make
        os.killpg(process.pid, signal.SIGINT)
        said, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    report = json.loads(said)
    assert (process.returncode, report["interrupted"]) == (1, True)
    assert "Traceback" not in errors
    found = sorted(folder.glob("reach-*"))
    assert report["episodes"] == len(found) >= 1
    for one in found:
        verify_bundle(one, Trust(NO_HUB))
