"""`armshare record` makes what was asked for, goes on with what is missing, and says what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recorder.collect import crew
from recorder.collect.crew import Job
from recorder.collect.making import Attempt
from tests.armshare.command import armshare_here


def record(target: Path, *arguments: str, task: str = "reach") -> tuple[int, dict[str, Any]]:
    """Record with the expert; return the exit code and the report."""
    found = armshare_here("record", "--task", task, "--expert", "--to", str(target), "--json", *arguments)
    return found.returncode, json.loads(found.stdout)


def test_it_makes_verified_episodes_and_goes_on_with_those_that_are_missing(tmp_path: Path) -> None:
    code, first = record(tmp_path, "--episodes", "2", "--workers", "1")
    assert (code, first["made"], first["succeeded"], first["episodes"], first["lost"]) == (0, 2, 2, 2, [])
    assert (first["robot"], first["driver"]["kind"]) == ("panda", "script")
    assert first["times_real_time"] > 0
    code, again = record(tmp_path, "--episodes", "3", "--workers", "1")
    assert (code, again["made"], again["episodes"]) == (0, 1, 3)
    found = sorted(path for path in tmp_path.iterdir() if path.name.startswith("reach"))
    checked = armshare_here("verify", "--score", *map(str, found))
    assert checked.returncode == 0
    assert checked.stdout.count("no hub asked for it") == 3
    score = json.loads((found[0] / "score.json").read_text())
    [report] = json.loads(armshare_here("verify", "--json", "--score", str(found[0])).stdout)
    assert report["score"] == score


class Pretended:
    """What the workers do: nothing but this, and then Ctrl-C comes, if it does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *attempts: Attempt, interrupted: bool = False) -> None:
        self.attempts, self.interrupted = attempts, interrupted
        self.seeds: list[int] = []
        monkeypatch.setattr(crew, "collect", self.collect)

    def collect(self, job: Job, seeds: Iterable[int], _workers: int) -> Iterator[Attempt]:
        """Yield what was pretended, with a manifest for each that is not lost."""
        self.seeds = list(seeds)
        for one in self.attempts:
            if not one.lost:
                (job.folder / one.episode).mkdir()
                (job.folder / one.episode / "manifest.json").touch()
            yield one
        if self.interrupted:
            raise KeyboardInterrupt


def attempt(seed: int, lost: str = "") -> Attempt:
    """Return an episode of 3 s."""
    return Attempt(f"reach-panda-{seed}", seed, 60, 3.0, success=seed % 2 == 0, lost=lost)


def test_ctrl_c_tells_what_is_there_and_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Pretended(monkeypatch, attempt(0), interrupted=True)
    found = armshare_here("record", "--task", "reach", "--expert", "--to", str(tmp_path), "--episodes", "9")
    assert found.returncode == 1
    assert "1 of 9 are in" in found.stdout
    assert "run the same command again to make the rest" in found.stdout


def test_a_lost_episode_is_told_with_its_seed_and_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Pretended(monkeypatch, attempt(0), attempt(1, lost="unstable: the ball is [gone]"))
    found = armshare_here("record", "--task", "reach", "--expert", "--to", str(tmp_path), "--episodes", "2")
    assert found.returncode == 1
    assert "1 episode made, 1 succeeded" in found.stdout
    assert "lost seed 1: unstable: the ball is [gone]" in found.stdout


def test_seeds_go_on_beyond_those_that_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Pretended(monkeypatch)
    assert record(tmp_path, "--seed", "998", "--episodes", "4")[0] == 1
    assert workers.seeds == [998, 999, 1_000_000, 1_000_001]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--task", "reach", "--expert", "--seed", "1000"), "kept to judge policies"),
        (("--task", "reach"), "say who drives"),
        (("--task", "reach", "--expert", "--policy", "a:b"), "say who drives"),
        (("--task", "reach", "--policy", "nothing_here:act"), "nothing_here"),
        (("--task", "juggle", "--expert"), "There is no task 'juggle'"),
        (("--task", "handover", "--robot", "panda", "--expert"), "panda cannot do handover"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    found = armshare_here("record", "--to", str(tmp_path / "to"), *arguments)
    assert found.returncode == 2
    assert says in " ".join(found.stderr.replace("│", " ").split())


def test_a_folder_of_other_episodes_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Pretended(monkeypatch)
    record(tmp_path)
    found = armshare_here("record", "--task", "lift", "--expert", "--to", str(tmp_path))
    assert found.returncode == 2
    assert "holds episodes of panda at reach" in found.stderr
