"""Stages, notes and interventions, in the columns that LeRobot has for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recorder.export.demonstrations import Demonstration
from recorder.export.lerobot_rows import language, progress, values
from recorder.file.meta import NoteMeta
from tests.recorder.bundles import good_bundle
from tests.recorder.export import made

FPS = 20


def demonstration(
    folder: Path, seen: Sequence[float], stages: list[str], notes: Sequence[tuple[int, str]] = ()
) -> Demonstration:
    """Return one whose progress was `seen`, with a note some milliseconds after the observation of a step."""
    (one,) = made.found([good_bundle(folder, steps=len(seen) - 1)], cameras=[])
    meta, end = one.episode.meta, one.episode.end
    task = msgspec.structs.replace(meta.task, stages=stages, paraphrases=["Raise it.", meta.task.instruction])
    said = [NoteMeta(str(int(one.episode.t_observed_ns[step]) + 20_000_000), text) for step, text in notes]
    end = msgspec.structs.replace(end, notes=said)
    arrays = dict(one.episode.arrays) | {"progress": np.array(seen)}
    meta = msgspec.structs.replace(meta, task=task, end=end)
    return dataclasses.replace(one, episode=dataclasses.replace(one.episode, meta=meta, end=end, arrays=arrays))


def test_each_stage_holds_from_the_frame_where_it_begins(tmp_path: Path) -> None:
    one = demonstration(tmp_path, [0.0, 0.2, 0.5, 0.7, 0.3, 0.6, 1.0, 1.0], ["reach it", "lift it"])
    persistent, events = language(one, FPS)
    subtasks = [(said["content"], said["timestamp"]) for said in persistent if said["style"] == "subtask"]
    assert subtasks == [
        ("reach it", 0.0),
        ("lift it", pytest.approx(2 / FPS)),
        ("reach it", pytest.approx(4 / FPS)),
        ("lift it", pytest.approx(5 / FPS)),
    ], "after the last stage there is none"
    wordings = [said["content"] for said in persistent if said["style"] == "task_aug"]
    assert wordings == ["Lift the cube.", "Raise it."], "each wording once"
    assert events == [[]] * 7


def test_a_robot_that_cannot_know_has_no_stages(tmp_path: Path) -> None:
    persistent, _ = language(demonstration(tmp_path, [np.nan] * 6, ["reach it", "lift it"]), FPS)
    assert {said["style"] for said in persistent} == {"task_aug"}


def test_a_note_is_at_the_frame_in_which_it_was_said(tmp_path: Path) -> None:
    one = demonstration(tmp_path, [0.0] * 9, [], [(0, "go"), (5, "it slipped"), (5, "again")])
    _, events = language(one, FPS)
    said = {index: [note["content"] for note in notes] for index, notes in enumerate(events) if notes}
    assert said == {0: ["go"], 5: ["it slipped", "again"]}
    assert events[5][0] == {
        "role": "user",
        "content": "it slipped",
        "style": "interjection",
        "camera": None,
        "tool_calls": None,
    }


def test_sparse_progress_is_the_part_of_stages_that_is_done(tmp_path: Path) -> None:
    found = progress(demonstration(tmp_path, [0.0, 0.2, 0.5, 0.99, 1.0], ["reach it", "lift it"]))
    np.testing.assert_allclose(found["progress_dense"], [0.0, 0.2, 0.5, 0.99], atol=1e-6)
    assert found["progress_sparse"].tolist() == [0.0, 0.0, 0.5, 0.5]


def test_an_intervention_is_marked_at_its_steps(tmp_path: Path) -> None:
    one = demonstration(tmp_path, [0.0] * 6, [])
    marks = np.array([0, 0, 1, 1, 0], np.uint8)
    arrays = dict(one.episode.arrays) | {"commanded/intervention": marks}
    one = dataclasses.replace(one, episode=dataclasses.replace(one.episode, arrays=arrays))
    assert values(one, 0, FPS)["intervention"].tolist() == [False, False, True, True, False]
