"""What happened when: who drove, what was said, what limits and cameras did, on the clock of the page."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from recorder.file.episode import read_episode
from recorder.hub.showing.films import UnknownCameraError, film_of
from recorder.hub.showing.timeline import STRETCHES_MAX, longest, stretches, timeline_of
from sim.motion.limits import Limit, LimitEvent
from teleop.wire.driver import DriverKind
from tests.recorder.bundles import record
from tests.recorder.factory import fake_episode
from tests.recorder.filming import seen


def test_a_policys_episode_says_when_a_person_took_over(tmp_path: Path) -> None:
    file = record(tmp_path, seen())
    with h5py.File(file, "r+") as opened:
        opened["commanded/intervention"][4:9] = 1
    t_s = (read_episode(file).t_observed_ns - read_episode(file).t_observed_ns[0]) / 1e9

    answer = timeline_of(file)

    assert [one.who for one in answer.driven] == [DriverKind.POLICY, DriverKind.PERSON, DriverKind.POLICY]
    assert [one.from_s for one in answer.driven] == pytest.approx([0.0, t_s[4], t_s[9]], abs=1e-4)
    assert [one.until_s for one in answer.driven] == pytest.approx([t_s[4], t_s[9], answer.length_s], abs=1e-4)


def test_a_persons_episode_was_driven_by_a_person_from_end_to_end(tmp_path: Path) -> None:
    answer = timeline_of(record(tmp_path, fake_episode(steps=20)))
    assert [(one.who, one.from_s, one.until_s) for one in answer.driven] == [(DriverKind.PERSON, 0.0, answer.length_s)]
    assert answer.length_s == pytest.approx(20 / answer.control_hz, abs=1e-4)


def test_notes_are_told_at_their_moments_and_never_outside_the_episode(tmp_path: Path) -> None:
    answer = timeline_of(record(tmp_path, seen()))
    assert [note.text for note in answer.notes] == ["It begins.", "It has it."]
    assert 0.0 <= answer.notes[0].at_s <= answer.notes[1].at_s <= answer.length_s


def test_the_task_the_robot_and_what_the_hub_gave_are_told(tmp_path: Path) -> None:
    file = record(tmp_path, fake_episode(steps=10))
    meta = read_episode(file).meta
    answer = timeline_of(file)
    assert (answer.task.name, answer.task.instruction) == (meta.task.name, meta.task.instruction)
    assert (answer.robot.model, answer.robot.simulated) == (meta.robot.model, meta.robot.simulated)
    assert (answer.seed, answer.steps, answer.format) == (meta.seed, 10, 2)


def test_limits_that_follow_each_other_are_one_stretch(tmp_path: Path) -> None:
    hit = {
        k: (LimitEvent(Limit.WORKSPACE, 2, 0.9, 0.7), LimitEvent(Limit.WORKSPACE, 1, 0.9, 0.7)) for k in (10, 11, 40)
    }
    start, steps, end = fake_episode(steps=60)
    steps = [dataclasses.replace(step, limits=hit.get(k, ())) for k, step in enumerate(steps)]

    answer = timeline_of(record(tmp_path, (start, steps, end)))

    hz = answer.control_hz
    assert [(one.rule, one.times) for one in answer.limited] == [("workspace", 2), ("workspace", 1)]
    assert [one.from_s for one in answer.limited] == pytest.approx([10 / hz, 40 / hz], abs=1e-4)
    assert [one.until_s for one in answer.limited] == pytest.approx([12 / hz, 41 / hz], abs=1e-4)


def test_stretches_are_where_values_stay_the_same() -> None:
    t_s = np.arange(7) / 10
    assert stretches(np.array([1, 1, 0, 0, 0, 2]), t_s) == [(1, 0.0, 0.2), (0, 0.2, 0.5), (2, 0.5, 0.6)]
    assert stretches(np.array([], np.int64), np.array([0.0])) == []


def test_of_very_many_stretches_the_longest_are_told_in_order_of_time() -> None:
    many = [(0, float(k), k + 0.1 + (k % 7 == 0)) for k in range(7 * STRETCHES_MAX)]
    found = longest(many)
    assert len(found) == STRETCHES_MAX
    assert found == sorted(found, key=lambda one: one[1])
    assert all(until_s - from_s > 1 for _, from_s, until_s in found)


def test_a_cameras_pictures_lie_where_the_film_says(tmp_path: Path) -> None:
    file = record(tmp_path, seen())
    whole, pictures = file.read_bytes(), read_episode(file).pictures
    for name, camera in pictures.items():
        film = film_of(file, name)
        sizes = np.frombuffer(base64.b64decode(film.sizes), "<u4")
        ends = film.at + np.cumsum(sizes)
        begins = ends - sizes
        found = [whole[a:b] for a, b in zip(begins, ends, strict=True)]
        assert found == [bytes(camera.encoded(k)) for k in range(len(camera.end))]
        assert film.count == len(found) > 0
        assert np.frombuffer(base64.b64decode(film.key), "|u1").tolist() == camera.key.tolist()
        t_s = np.frombuffer(base64.b64decode(film.t_s), "<f4")
        assert (np.diff(t_s) > 0).all()
        assert t_s[-1] <= timeline_of(file).length_s


def test_a_camera_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownCameraError, match="front, wrist"):
        film_of(record(tmp_path, seen()), "nobody")
    with pytest.raises(UnknownCameraError, match="no camera at all"):
        film_of(record(tmp_path, fake_episode(steps=3)), "front")


def test_what_a_camera_is_and_what_it_missed_are_told(tmp_path: Path) -> None:
    file = record(tmp_path, seen())
    cameras = timeline_of(file).cameras
    assert [one.name for one in cameras] == ["front", "wrist"]
    for camera in cameras:
        events = read_episode(file).arrays[f"cameras/{camera.name}/events"]
        assert len(camera.troubles) == len(events)
        assert camera.pictures == len(read_episode(file).pictures[camera.name].end)
