"""Channels as curves: what they are called, that no peak is lost, and that they agree with the file."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.file.episode import read_episode
from recorder.hub.showing import series as curves
from recorder.hub.showing.channels import Group, Origin, UnknownChannelError, channels_of
from recorder.hub.showing.series import POINTS_MIN, SeriesAnswer, kept, series_of, thinned
from tests.recorder.bundles import record
from tests.recorder.factory import fake_episode
from tests.recorder.filming import seen


def values_of(answer: SeriesAnswer) -> np.ndarray:
    found = np.frombuffer(base64.b64decode(answer.values), "<f4")
    return found.reshape(len(answer.t_s), len(answer.channel.columns))


@given(
    rows=st.integers(17, 900),
    points=st.integers(POINTS_MIN, 64),
    peak=st.floats(0, 0.999),
    at_once=st.sampled_from([1, 50, 1 << 20]),
)
def test_a_peak_of_one_row_is_seen_however_few_the_points(rows: int, points: int, peak: float, at_once: int) -> None:
    whole = np.zeros((rows, 2))
    whole[int(peak * rows)] = 9.0, -9.0
    curves_at_once, curves._AT_ONCE = curves._AT_ONCE, at_once  # type: ignore[misc]  # how files are read, not what comes
    try:
        found = thinned(lambda start, stop: whole[start:stop], rows, 2, points)
    finally:
        curves._AT_ONCE = curves_at_once  # type: ignore[misc]

    at = kept(rows, points)
    assert found.shape == (len(at), 2)
    assert len(at) <= max(points, 1) or rows <= points
    assert (found[:, 0].max(), found[:, 1].min()) == (9.0, -9.0)
    assert (at[0], at[-1]) == (0, rows - 1)
    assert (np.diff(at) > 0).all() or rows < 2 * (points // 2)


def test_a_channel_of_few_rows_is_told_as_it_is(tmp_path: Path) -> None:
    file = record(tmp_path, fake_episode(steps=40))
    episode = read_episode(file)

    answer = series_of(file, "observation/joint_position", 1200)

    assert answer.whole
    np.testing.assert_array_equal(values_of(answer), episode.observation("joint_position").astype(np.float32))
    assert [column.name for column in answer.channel.columns] == list(episode.meta.spec.joint_names)
    assert {column.unit for column in answer.channel.columns} == {"rad"}
    assert answer.t_s[-1] == pytest.approx(40 / episode.meta.spec.control_hz, abs=1e-4)


def test_what_was_commanded_applied_and_measured_have_the_same_moments(tmp_path: Path) -> None:
    file = record(tmp_path, fake_episode(steps=90))

    names = [channel.name for channel in channels_of(file).channels]
    answers = [series_of(file, name, 32) for name in names]

    assert len({tuple(answer.t_s) for answer in answers}) == 1
    assert not any(answer.whole for answer in answers)
    assert len(answers[0].t_s) <= 32


def test_every_channel_can_be_read_and_says_what_it_is(tmp_path: Path) -> None:
    for made in (fake_episode(steps=30), seen()):
        file = record(tmp_path, made)
        answer = channels_of(file)
        for channel in answer.channels:
            values = values_of(series_of(file, channel.name, 1200))
            assert values.shape == (answer.rows, len(channel.columns))
            assert channel.doc
            assert all(column.unit for column in channel.columns)
        file.unlink()
    groups = {channel.group for channel in answer.channels}
    assert {Group.JOINTS, Group.VELOCITIES, Group.HANDS, Group.TASK, Group.TIMING} <= groups


def test_what_was_applied_ends_a_row_before_what_was_measured_and_its_velocity_begins_one_later(tmp_path: Path) -> None:
    file = record(tmp_path, fake_episode(steps=30))
    episode = read_episode(file)
    hz = episode.meta.spec.control_hz

    applied = values_of(series_of(file, "applied/joint_position", 1200))
    speed = values_of(series_of(file, "applied/joint_velocity", 1200))

    assert np.isnan(applied[-1]).all()
    np.testing.assert_allclose(applied[:-1], episode.applied_joint_position, rtol=1e-6)
    assert np.isnan(speed[[0, -1]]).all()
    np.testing.assert_allclose(speed[1:-1], np.diff(episode.applied_joint_position, axis=0) * hz, rtol=1e-4, atol=1e-5)


def test_a_command_is_told_by_what_its_mode_means(tmp_path: Path) -> None:
    file = record(tmp_path, fake_episode(steps=30))
    episode = read_episode(file)
    commanded = [one for one in channels_of(file).channels if one.origin is Origin.COMMANDED]
    assert commanded, "the factory's operator commands something"
    modes = episode.arrays["commanded/mode"]
    for channel in commanded:
        values = values_of(series_of(file, channel.name, 1200))
        assert np.isnan(values[-1]).all(), "nothing is commanded after the last step"
        told = ~np.isnan(values[:-1]).all(axis=1)
        assert (modes[told] != 0).all()
        assert told.any()


def test_an_unknown_channel_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    file = record(tmp_path, fake_episode(steps=5))
    with pytest.raises(UnknownChannelError, match=r"expected one of .*applied/joint_position.*, got 'cameras/front"):
        series_of(file, "cameras/front/bytes", 100)
