"""What is wrong with a camera is told in the same words in the terminal as in the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from teleop.operator.camera_words import words_of
from teleop.wire import signalling

GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden_camera_troubles.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["says"])
def test_a_camera_is_named_in_plain_words(case):
    assert words_of(case["message"]) == case["says"]


def test_every_trouble_has_its_words_while_it_lasts_and_afterwards():
    said = {(case["message"]["trouble"], case["message"]["until_s"] is None) for case in GOLDEN}
    assert said == {(name, lasts) for name in get_args(signalling.PictureTrouble) for lasts in (True, False)}


def test_a_camera_called_so_that_a_terminal_would_obey_is_not_obeyed():
    assert "\x1b" not in words_of(GOLDEN[0]["message"] | {"camera": "a\x1b[31m\n"})
