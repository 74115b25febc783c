"""Recording one episode: what goes in comes out, and what does not fit is refused by name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from recorder.file.episode import read_episode
from recorder.file.layout import NO_COMMAND, RULES, UNKNOWN_SUCCESS
from recorder.file.writer import EpisodeMismatchError, EpisodeWriter, StepOrderError, StepShapeError
from recorder.proof.description import hash_description
from sim.motion.control import Limit
from sim.robot import Observation
from teleop.wire.messages import Mode
from teleop.wire.reasons import EndReason
from tests.recorder.bundles import record
from tests.recorder.factory import FAKE_ARM, fake_end, fake_episode, fake_start, fake_steps


@pytest.mark.parametrize("joints", [1, 2, 7])
@pytest.mark.parametrize("gripper", [True, False])
def test_every_value_of_every_step_is_read_back_exactly(tmp_path: Path, joints: int, gripper: bool) -> None:
    start, steps, end = fake_episode(27, joints, gripper=gripper)
    episode = read_episode(record(tmp_path, (start, steps, end)))

    seen = [start.initial, *(step.observed for step in steps)]
    for name in start.initial.values:
        assert np.array_equal(episode.observation(name), np.array([one.values[name] for one in seen]))
    assert np.array_equal(episode.applied_joint_position, [step.applied.joint_position for step in steps])
    assert np.array_equal(episode.applied_gripper, [step.applied.gripper for step in steps])
    assert np.array_equal(episode.applied_ee_pose, [step.applied_ee_pose for step in steps])
    assert episode.t_began_ns.tolist() == [step.t_began_ns for step in steps]
    assert episode.t_sent_ns.tolist() == [step.t_sent_ns for step in steps]
    assert episode.t_observed_ns.tolist() == [start.t_mono_ns, *(step.t_observed_ns for step in steps)]
    walls = episode.arrays["time/t_wall_ns"].tolist()
    assert walls == [start.t_wall_ns, *(step.t_wall_ns for step in steps)]
    assert episode.arrays["safety"].tolist() == [step.safety for step in steps]
    assert episode.arrays["progress"].tolist() == [one.progress for one in seen]
    assert episode.arrays["success"].tolist() == [one.success for one in seen]


def test_commands_are_kept_and_their_absence_too(tmp_path: Path) -> None:
    start, steps, end = fake_episode(12)
    steps[0] = dataclasses.replace(steps[0], commanded=None)
    episode = read_episode(record(tmp_path, (start, steps, end)))

    assert episode.arrays["commanded/mode"].tolist() == [NO_COMMAND] + 11 * [Mode.JOINT_POSITION]
    assert episode.arrays["commanded/seq"].tolist() == [0] + [step.commanded.seq for step in steps[1:]]
    values = episode.arrays["commanded/values"]
    assert np.isnan(values[0]).all()
    assert np.array_equal(values[4, :4], steps[4].commanded.values)
    assert np.isnan(values[4, 4:]).all()
    assert episode.arrays["commanded/count"].tolist() == [0] + 11 * [4]


def test_every_command_is_read_back_as_it_came_with_the_step_that_took_it(tmp_path: Path) -> None:
    start, steps, end = fake_episode(12)
    steps[4] = dataclasses.replace(steps[4], commands=())
    episode = read_episode(record(tmp_path, (start, steps, end)))

    taken = [(step.index, one) for step in steps for one in step.commands]
    assert len(taken) > len(steps)
    assert {one.admitted for _, one in taken} == {True, False}
    assert [tuple(row) for row in episode.commands()] == [
        (one.data, one.arrived_ns, index, one.admitted) for index, one in taken
    ]
    counted = [row if one.admitted else None for row, (_, one) in enumerate(taken)]
    expected = [
        max(row for row, (at, _) in zip(counted, taken, strict=True) if row is not None and at <= index)
        for index in range(12)
    ]
    assert episode.newest_command.tolist() == expected


def test_an_episode_without_a_command_is_kept_too(tmp_path: Path) -> None:
    start, steps, end = fake_episode(5)
    without = [dataclasses.replace(step, commands=(), commanded=None) for step in steps]
    episode = read_episode(record(tmp_path, (start, without, end)))

    assert list(episode.commands()) == []
    assert episode.newest_command.tolist() == 5 * [-1]


def test_a_command_longer_than_the_format_keeps_is_counted_in_full(tmp_path: Path) -> None:
    start, steps, end = fake_episode(12)
    long = dataclasses.replace(steps[3].commanded, values=np.arange(30, dtype=np.float32))
    steps[3] = dataclasses.replace(steps[3], commanded=long)
    episode = read_episode(record(tmp_path, (start, steps, end)))

    assert episode.arrays["commanded/count"][3] == 30
    assert episode.arrays["commanded/values"][3].tolist() == list(range(8))


def test_each_clamp_is_one_row(tmp_path: Path) -> None:
    rows = read_episode(record(tmp_path)).arrays["limits"]

    assert [(row["step"], RULES[row["rule"]], row["axis"], row["requested"], row["applied"]) for row in rows] == [
        (5, Limit.JOINT_VELOCITY, 0, 3.0, 2.0)
    ]


def test_what_a_robot_cannot_know_is_not_zero(tmp_path: Path) -> None:
    start, steps, end = fake_episode(5, simulated=False)
    blind = [dataclasses.replace(s, observed=Observation(s.observed.values)) for s in steps]
    start = dataclasses.replace(start, initial=Observation(start.initial.values))
    episode = read_episode(record(tmp_path, (start, blind, dataclasses.replace(end, success=None))))

    assert episode.arrays["success"].tolist() == 6 * [UNKNOWN_SUCCESS]
    assert np.isnan(episode.arrays["progress"]).all()
    assert episode.end.success is None


def test_the_same_episode_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    assert record(tmp_path / "a").read_bytes() == record(tmp_path / "b").read_bytes()


def test_the_file_says_who_drove_what_and_why_it_ended(tmp_path: Path) -> None:
    start, steps, end = fake_episode(9, reason=EndReason.ESTOPPED)
    meta = read_episode(record(tmp_path, (start, steps, end))).meta

    assert (meta.robot.address, meta.robot.name, meta.operator.address) == (start.robot, "fake-1", start.operator)
    assert meta.robot.urdf_sha256 == hash_description(FAKE_ARM)
    assert set(meta.robot.urdf_sha256) == {"arm.urdf", "meshes/tool.obj"}
    assert meta.grant.values.statement() == start.grant
    assert meta.end is not None
    assert (meta.end.steps, meta.end.reason) == (9, EndReason.ESTOPPED)
    assert (meta.seed, meta.nonce, meta.engine) == (7, start.nonce, {"fake": "1"})


def test_a_finished_file_is_plain_hdf5_for_anyone(tmp_path: Path) -> None:
    with h5py.File(record(tmp_path), "r") as file:
        assert file.attrs["format"] == "armshare-episode"
        assert file["observation/joint_position"].shape == (41, 3)
        assert file["observation/joint_position"].chunks is None


def test_a_dropped_step_is_refused(tmp_path: Path) -> None:
    start, steps, _ = fake_episode(6)
    writer = EpisodeWriter.start(tmp_path / "e.journal", start, {})
    writer.append(steps[0])

    with pytest.raises(StepOrderError, match="expected step 1, got 2"):
        writer.append(steps[2])
    writer.abandon()


def test_a_step_of_another_shape_is_refused(tmp_path: Path) -> None:
    start, steps, _ = fake_episode(6)
    writer = EpisodeWriter.start(tmp_path / "e.journal", start, {})
    wrong = Observation({**steps[0].observed.values, "joint_position": np.zeros(4)})

    with pytest.raises(StepShapeError, match=r"got .*\(4,\)"):
        writer.append(dataclasses.replace(steps[0], observed=wrong))
    writer.abandon()


@pytest.mark.parametrize("change", [{"steps": 5}, {"episode": "another"}])
def test_an_end_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    start = fake_start()
    steps = fake_steps(start, 4)
    writer = EpisodeWriter.start(tmp_path / "e.journal", start, {})
    for step in steps:
        writer.append(step)

    with pytest.raises(EpisodeMismatchError):
        writer.end(dataclasses.replace(fake_end(start, steps), **change))
    writer.abandon()


def test_a_recording_never_overwrites_another(tmp_path: Path) -> None:
    start = fake_start()
    writer = EpisodeWriter.start(tmp_path / "e.journal", start, {})

    with pytest.raises(FileExistsError):
        EpisodeWriter.start(tmp_path / "e.journal", start, {})
    writer.abandon()
