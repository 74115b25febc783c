"""What `armshare episodes --mine` and `armshare fetch --episode` refuse, and what a withdrawn episode looks like."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from armshare.cli.app import cli
from armshare.researcher.finding import table
from tests.recorder.factory import fixed_key

FOUND = {
    "created_ms": 1_790_000_000_000,
    "episode": "e1",
    "task": "lift",
    "model": "panda",
    "operator": "0x" + "a" * 40,
    "driver": None,
    "duration_s": 3.0,
    "success": True,
    "score": 0.9,
    "accepted": True,
    "practice": False,
    "trust": "replayed",
    "state": "verified",
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["episodes", "--withdrawn"], "add --mine"),
        (["episodes", "--mine", "--withdrawn", "--task", "lift"], "leave --task out"),
        (["episodes", "--mine", "--operator", fixed_key("bob").address], "leave --operator out"),
        (["episodes", "--key", "some.key"], "add --mine"),
        (["fetch", "here", "--episode", "e1", "--score-min", "0.5"], "leave --score-min out"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_to_do(
    line: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("TERMINAL_WIDTH", "300")
    found = CliRunner().invoke(cli, line)
    assert found.exit_code == 2
    assert said in re.sub(r"[\s│]+", " ", found.output)


def test_a_list_says_when_an_episode_was_withdrawn() -> None:
    withdrawn = {**FOUND, "withdrawn_ms": 1_790_000_000_000}
    (shown,) = (list(table({"episodes": [one]}).columns[-1].cells) for one in [withdrawn])
    assert shown == ["withdrawn 2026-09-21"]
    assert list(table({"episodes": [FOUND]}).columns[-1].cells) == ["replayed"]
