"""`score.json` beside its episode: all that the rules say is in it, compared, and an older one is still read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recorder.proof.bundle import SCORE_FILE
from rewards.score.kept import Standing, as_json, compare_score, encoded
from rewards.score.verdict import Cost, Score, Segment, SegmentKind

SCORE = Score(
    "3",
    300_000,
    False,
    {"success": 0.4, "flow": 0.75},
    ("It was not done.", "You stood still."),
    (Cost("flow", 62_500, "You stood still.", 1.5, 2.25), Cost("control", 4_000, "Too fast.")),
    {"duration_s": 8.5, "smoothness": -2.1},
    (Segment(SegmentKind.IDLE, 1.5, 2.25),),
    ("not_done",),
)


def stands(folder: Path, said: dict[str, Any]) -> Standing:
    (folder / SCORE_FILE).write_text(json.dumps(said))
    return compare_score(folder, SCORE).standing


def test_it_says_what_refused_the_drive_what_cost_what_and_when(tmp_path: Path) -> None:
    said = json.loads(encoded(SCORE))
    assert said["refused"] == ["not_done"]
    assert said["costs"] == [
        {"part": "flow", "points": 0.0625, "sentence": "You stood still.", "from_s": 1.5, "until_s": 2.25},
        {"part": "control", "points": 0.004, "sentence": "Too fast.", "from_s": None, "until_s": None},
    ]
    assert (said["shown"], said["segments"]) == (
        {"duration_s": 8.5, "smoothness": -2.1},
        [{"kind": "idle", "from_s": 1.5, "until_s": 2.25}],
    )
    assert stands(tmp_path, said) is Standing.AGREES


LIES: dict[str, dict[str, Any]] = {
    "another gate": {"refused": ["stalled"]},
    "no gate": {"refused": []},
    "no costs": {"costs": []},
    "a cheaper mistake": {"costs": [{**as_json(SCORE)["costs"][0], "points": 0.01}, as_json(SCORE)["costs"][1]]},
    "another moment": {"costs": [{**as_json(SCORE)["costs"][0], "from_s": 0.0}, as_json(SCORE)["costs"][1]]},
    "a cost without words": {"costs": [{"part": "flow"}]},
    "costs that are none": {"costs": "none"},
    "a cost that is none": {"costs": [7, None]},
    "another duration": {"shown": {"duration_s": 8.4, "smoothness": -2.1}},
    "another word for it": {"shown": {"duration_s": 8.5, "smooth": -2.1}},
    "more than is shown": {"shown": {**SCORE.shown, "skill": 1.0}},
    "a number that is none": {"shown": {"duration_s": float("nan"), "smoothness": -2.1}},
    "a number without an end": {"shown": {"duration_s": 10**400, "smoothness": -2.1}},
    "nothing for what is shown": {"shown": None},
    "a recovery": {"segments": [{"kind": "recovery", "from_s": 1.5, "until_s": 2.25}]},
    "no stretches": {"segments": {}},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_whatever_else_it_says_is_found(tmp_path: Path, lie: dict[str, Any]) -> None:
    assert stands(tmp_path, as_json(SCORE) | lie) is Standing.DIFFERS


def test_an_older_one_without_these_is_still_read(tmp_path: Path) -> None:
    said = as_json(SCORE)
    for name in ("refused", "costs", "shown", "segments"):
        del said[name]
    assert stands(tmp_path, said) is Standing.AGREES
    assert stands(tmp_path, said | {"score": 0.9}) is Standing.DIFFERS
    del said["vector"]
    assert stands(tmp_path, said) is Standing.DIFFERS, "those were always there"


def test_the_words_of_a_cost_and_the_last_digits_of_what_is_shown_may_differ(tmp_path: Path) -> None:
    said = as_json(SCORE)
    said["costs"][0]["sentence"] = "You waited."
    said["shown"]["smoothness"] = -2.1 + 1e-12
    assert stands(tmp_path, said) is Standing.AGREES
