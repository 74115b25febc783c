"""What docs/scoring.md tells people to type, so that they can check a score themselves, works as it stands there."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from rewards.score.score import recompute
from tests.rewards.drives import recorded

PAGE = Path(__file__).parents[3] / "docs" / "scoring.md"


def shown() -> str:
    """Return the lines of Python in the section on checking a score."""
    section = PAGE.read_text().split("## 7. Check it yourself")[1].split("## 8.")[0]
    lines = section.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("    from "))
    last = next(at for at, line in enumerate(lines[first:], start=first) if line and not line.startswith("    "))
    return textwrap.dedent("\n".join(lines[first:last]))


def test_the_lines_on_the_page_print_the_score_and_the_checks_of_a_first_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path).rename(tmp_path / "episode.h5")
    monkeypatch.chdir(tmp_path)
    exec(compile(shown(), str(PAGE), "exec"), {})
    said = capsys.readouterr().out
    found = recompute(tmp_path / "episode.h5")
    assert said.startswith(f"{found.score_ppm} {found.accepted} {dict(found.vector)}")
    assert "name='duration'" in said
