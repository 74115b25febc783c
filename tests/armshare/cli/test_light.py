"""`armshare render --light`: a name is passed on, a direction is read, and anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import armshare.pictures
from armshare.cli.researcher import cli


def render(monkeypatch: pytest.MonkeyPatch, folder: Path, *said: str) -> tuple[int, str, list[dict]]:
    asked: list[dict] = []

    def drawn(_folder, shot, _target, _pool):
        asked.append(shot)
        yield 0

    monkeypatch.setattr(armshare.pictures, "render_episode", drawn)
    done = CliRunner().invoke(cli, ["render", str(folder), "--to", str(folder / "out"), *said])
    return done.exit_code, done.output, asked


@pytest.mark.parametrize(
    ("said", "light"), [((), "room"), (("--light", "dim"), "dim"), (("--light", "0.4,0,-1"), (0.4, 0.0, -1.0))]
)
def test_a_light_is_passed_on(monkeypatch, tmp_path, said, light):
    code, _, asked = render(monkeypatch, tmp_path, *said)
    assert code == 0
    assert [shot["light"] for shot in asked] == [light]


def test_what_is_no_direction_is_refused(monkeypatch, tmp_path):
    code, output, asked = render(monkeypatch, tmp_path, "--light", "up,and,down")
    assert (code, asked) == (2, [])
    assert "write X,Y,Z" in output
