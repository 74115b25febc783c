"""`armshare render --light`: a name is passed on, a direction is read, and anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import armshare.researcher.pictures
from armshare.cli.researcher import cli
from recorder.pictures.drawn import View


def render(monkeypatch: pytest.MonkeyPatch, folder: Path, *said: str) -> tuple[int, str, list[View]]:
    asked: list[View] = []

    def drawn(_folder, view, _target, **_):
        asked.append(view)

    monkeypatch.setattr(armshare.researcher.pictures, "render_episode", drawn)
    done = CliRunner().invoke(cli, ["render", str(folder), "--to", str(folder / "out"), *said])
    return done.exit_code, done.output, asked


@pytest.mark.parametrize(
    ("said", "light"), [((), "room"), (("--light", "dim"), "dim"), (("--light", "0.4,0,-1"), (0.4, 0.0, -1.0))]
)
def test_a_light_is_passed_on(monkeypatch, tmp_path, said, light):
    code, _, asked = render(monkeypatch, tmp_path, *said)
    assert code == 0
    assert [view.light for view in asked] == [light]


@pytest.mark.parametrize("said", ["up,and,down", "0.4,-1", "0,0,-1,2"])
def test_what_is_no_direction_is_refused(monkeypatch, tmp_path, said):
    code, output, asked = render(monkeypatch, tmp_path, "--light", said)
    assert (code, asked) == (2, [])
    assert "write X,Y,Z" in output
