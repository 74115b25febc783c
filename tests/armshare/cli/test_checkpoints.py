"""Drive, record and evaluate take a policy with a checkpoint alike, and name both of its files by one digest."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import sim.evaluate
from armshare.operator.crews import crewed
from recorder.collect import crew
from recorder.collect.crew import Job
from recorder.collect.making import Attempt
from sim.strangers import fingerprint
from tests.armshare.cli.test_evaluate_command import LIFT, beside
from tests.armshare.command import armshare_here

POLICY = """
import numpy as np
from sim.motion.control import Twist

def load(path):
    return lambda *seen: Twist([0.0] * 6, [1.0]) if len(seen) == 2 else np.zeros(7, np.float32)

def judged(path):
    return lambda seen: np.zeros(7, np.float32)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "policy_and_checkpoint.py").write_text(POLICY)
    (tmp_path / "weights").write_text("1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sim.evaluate, "workers", beside)
    yield tmp_path
    sim.evaluate._forget()
    sys.modules.pop("policy_and_checkpoint", None)


def test_all_three_name_the_same_digest(here, monkeypatch):
    jobs: list[Job] = []

    def collected(job: Job, _seeds: Iterable[int], _workers: int) -> Iterator[Attempt]:
        jobs.append(job)
        yield from ()

    monkeypatch.setattr(crew, "collect", collected)
    given = "--policy", "policy_and_checkpoint:load", "--checkpoint", "weights", "--json"
    expected = fingerprint("policy_and_checkpoint:load", here / "weights")
    recorded = armshare_here("record", "--task", "reach", "--to", str(here / "to"), *given)
    assert json.loads(recorded.stdout)["driver"]["sha256"] == expected
    assert jobs[0].checkpoint == here / "weights"
    judged = armshare_here(
        "evaluate",
        "--env",
        LIFT,
        "--seeds",
        "1000",
        "--max-steps",
        "1",
        *given[:1],
        "policy_and_checkpoint:judged",
        *given[2:],
    )
    assert json.loads(judged.stdout)["sha256"] == expected
    with crewed(
        policy=given[1], expert=False, episode=None, gamepad=None, first_drive=False, checkpoint=here / "weights"
    ) as who:
        assert who.said({"model": "panda"}, "lift").sha256 == expected


@pytest.mark.slow
def test_a_policy_with_a_checkpoint_makes_episodes_that_say_so(here):
    given = "--policy", "policy_and_checkpoint:load", "--checkpoint", "weights", "--episodes", "1", "--workers", "1"
    made = armshare_here("record", "--task", "reach", "--to", str(here / "to"), "--json", *given)
    assert made.returncode == 0, made.stderr
    (manifest,) = (here / "to").glob("reach-*/manifest.json")
    driver = json.loads(manifest.read_text())["driver"]
    assert driver == {
        "kind": "policy",
        "name": "policy_and_checkpoint:load",
        "sha256": fingerprint("policy_and_checkpoint:load", here / "weights"),
    }


@pytest.mark.parametrize("command", [("drive", "--expert"), ("record", "--task", "reach", "--to", "to", "--expert")])
def test_a_checkpoint_of_no_policy_is_refused_in_a_sentence(here, command):
    done = armshare_here(*command, "--checkpoint", "weights")
    assert done.returncode == 2
    assert "a checkpoint is a policy's: name that with --policy" in " ".join(done.stderr.replace("│", " ").split())
