"""A motion stays the same motion at any pace and under any name, and another motion is another one."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recorder.file.episode import Episode, read_episode
from recorder.proof.checks import copies, paths
from recorder.proof.checks.copies import NEAR, Motion, Twin, distance, follows, motion_of, require_own
from recorder.proof.checks.paths import path
from recorder.proof.refusals import CopiedMotion, DuplicateEpisode
from sim.robot import Vector
from tests.recorder.bundles import record
from tests.recorder.factory import MALLORY, fake_episode

STRIDE = copies.STRIDE["hands"]
NEAR_M = NEAR["hands"]


@st.composite
def ways(draw: st.DrawFn) -> Vector:
    """Return (N, 3) m: a smooth way through a few places, each 10 cm or more from the one before, with rests."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    places = [np.zeros(3)]
    for _ in range(draw(st.integers(1, 4))):
        step = random.normal(size=3)
        places.append(places[-1] + step / np.linalg.norm(step) * random.uniform(0.1, 0.5))
    pieces = [np.zeros((1, 3))]
    for begin, end in pairwise(places):
        share = np.linspace(0, 1, draw(st.integers(10, 60)))[1:, None]
        pieces.append(begin + (end - begin) * (10 * share**3 - 15 * share**4 + 6 * share**5))
    return np.concatenate(pieces)


def apart_m(one: Vector, other: Vector) -> float:
    here, there = path(one, STRIDE), path(other, STRIDE)
    assert here is not None
    assert there is not None
    return float(np.sqrt(np.mean(np.sum((here - there) ** 2, axis=1))))


@given(ways(), st.data())
def test_pauses_a_longer_end_and_more_samples_on_the_way_change_nothing(way: Vector, data: st.DataObject) -> None:
    rests = data.draw(st.lists(st.integers(1, 30), min_size=len(way), max_size=len(way)))
    rested = np.repeat(way, rests, axis=0)
    between = np.linspace(0, len(way) - 1, 7 * (len(way) - 1) + 1)
    denser = np.stack([np.interp(between, np.arange(len(way)), column) for column in way.T], axis=1)

    assert apart_m(way, rested) < 1e-9
    assert apart_m(way, denser) < 1e-6


@given(ways(), st.floats(0.3, 3.0), st.integers(0, 2**32))
def test_another_pace_and_another_rate_are_near(way: Vector, pace: float, seed: int) -> None:
    steps = np.random.default_rng(seed).uniform(0.3, 1.0, max(20, round(pace * len(way))))
    when = np.concatenate([[0.0], np.cumsum(steps)])
    when *= (len(way) - 1) / when[-1]
    replayed = np.stack([np.interp(when, np.arange(len(way)), column) for column in way.T], axis=1)
    sharpest = np.max(np.linalg.norm(np.diff(way, axis=0), axis=1)) / min(1.0, pace)

    assert apart_m(way, replayed) <= max(NEAR_M, sharpest), "no farther than the corners that the new samples cut"


@given(ways(), st.integers(0, 2**32))
def test_a_path_that_is_moved_is_as_far_away_as_it_was_moved(way: Vector, seed: int) -> None:
    shift = np.random.default_rng(seed).normal(size=3)
    assert apart_m(way, way + shift) == pytest.approx(np.linalg.norm(shift), abs=1e-6)


@pytest.mark.parametrize("samples", [np.zeros((50, 3)), np.full((1, 3), 2.0), np.linspace(0, 0.09, 9)[:, None]])
def test_what_leads_nowhere_is_no_path(samples: Vector) -> None:
    """Ways of a few centimetres are alike, whoever goes them."""
    assert path(samples, STRIDE) is None


def test_a_path_from_a_stranger_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step may be 1e308 long, and be walked in strides of 5 mm."""
    monkeypatch.setattr(paths, "_STRIDES_MAX", 100)
    found = path(np.array([[0.0, 0.0], [1e308, -1e308], [0.0, 0.0]]), STRIDE)
    assert found is not None
    assert np.isfinite(found).all()


def test_a_turn_of_the_hand_is_a_motion_and_quaternions_count_by_what_they_turn() -> None:
    half = np.linspace(0.0, 0.5, 40)
    turned = np.stack([0 * half, 0 * half, 0 * half, np.sin(half), 0 * half, 0 * half, np.cos(half)], axis=1)
    points = paths.pose_points(turned)
    np.testing.assert_allclose(paths.pose_points(turned * [1, 1, 1, -3, -3, -3, -3]), points)
    assert path(points, STRIDE) is not None
    assert np.isfinite(paths.pose_points(np.zeros((2, 7)))).all()


def read(folder: Path, **kwargs: Any) -> Episode:
    folder.mkdir(parents=True, exist_ok=True)
    return read_episode(record(folder, fake_episode(**kwargs)))


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Episode:
    return read(tmp_path_factory.mktemp("motion"))


def with_arrays(episode: Episode, **changes: NDArray[Any]) -> Episode:
    arrays = {name.replace("__", "/"): array for name, array in changes.items()}
    return dataclasses.replace(episode, arrays={**episode.arrays, **arrays})


def test_the_motion_has_no_clock_no_name_and_no_number_of_an_episode(tmp_path: Path, episode: Episode) -> None:
    other = read(
        tmp_path, episode="another", wallet=MALLORY, session=MALLORY, robot=MALLORY, t_wall_ns=1_760_000_000_000_000_000
    )
    other = with_arrays(other, time__t_observed_mono_ns=other.t_observed_ns + 1)

    assert motion_of(other) == motion_of(episode)


@pytest.mark.parametrize(
    "path_", ["applied/ee_pose", "progress", "success", "commanded/values", "commanded/epoch", "commanded/t_client_us"]
)
def test_what_nothing_checks_hides_no_copy(episode: Episode, path_: str) -> None:
    changed = episode.arrays[path_].copy()
    changed.flat[-1] = 0 if changed.flat[-1] else 1

    assert motion_of(with_arrays(episode, **{path_: changed})) == motion_of(episode)


@settings(max_examples=30)
@given(st.integers(0, 39), st.integers(0, 2))
def test_one_bit_of_one_action_makes_another_digest_and_no_other_motion(
    episode: Episode, step: int, joint: int
) -> None:
    applied = episode.applied_joint_position.copy()
    applied[step, joint] = np.nextafter(applied[step, joint], 9.0)
    one, other = motion_of(episode), motion_of(with_arrays(episode, applied__joint_position=applied))

    assert one.digest != other.digest
    assert farthest(one, other) < 1e-6


def test_zero_has_no_sign(episode: Episode) -> None:
    zero = with_arrays(episode, applied__joint_position=episode.applied_joint_position * np.array([1.0, 1.0, 0.0]))
    minus = with_arrays(zero, applied__joint_position=zero.applied_joint_position * np.array([1.0, 1.0, -1.0]))
    assert motion_of(zero).digest == motion_of(minus).digest


@pytest.mark.parametrize("changes", [{"steps": 80}, {"shake_rad": 0.002}, {"steps": 57, "shake_rad": 0.001}])
def test_a_slower_and_a_shaken_copy_are_near(tmp_path: Path, episode: Episode, changes: dict[str, Any]) -> None:
    assert farthest(motion_of(episode), motion_of(read(tmp_path, **changes))) <= 1.0


@pytest.mark.parametrize("changes", [{"seed": 8}, {"reach": 0.7}])
def test_another_motion_is_not_near(tmp_path: Path, episode: Episode, changes: dict[str, Any]) -> None:
    assert nearest(motion_of(episode), motion_of(read(tmp_path, **changes))) > 1.0


def test_a_motion_that_leads_nowhere_is_nobodys(tmp_path: Path, episode: Episode) -> None:
    still = read(tmp_path, reach=0.0)
    assert motion_of(still).paths == ()
    assert motion_of(still).digest is not None, "its gripper closed"
    open_ = with_arrays(still, applied__gripper=np.ones_like(still.applied_gripper))
    assert motion_of(open_).digest is None


def in_nears(one: Motion, other: Motion) -> list[float]:
    pairs = zip(one.paths, other.paths, strict=True)
    return [distance(here, there) / NEAR[here.kind] for here, there in pairs]


def farthest(one: Motion, other: Motion) -> float:
    """Return how far apart two motions are in what is farther, in what counts as near."""
    return max(in_nears(one, other))


def nearest(one: Motion, other: Motion) -> float:
    """Return how far apart two motions are in what is nearer, in what counts as near."""
    return min(in_nears(one, other))


def world(*positions: tuple[float, float, float]) -> bytes:
    poses = np.array([[*position, 0.0, 0.0, 0.0, 1.0] for position in positions])
    return paths.pose_points(poses).astype("<f4").tobytes()


def test_who_drives_in_another_world_follows_it() -> None:
    here, there, two = world((0.4, 0.0, 0.0)), world((0.41, 0.0, 0.0)), world((0.4, 0.0, 0.0), (0.5, 0.0, 0.0))
    assert follows(here, there, 0.0011)
    assert not follows(here, there, 0.0009), "the things moved by 1 cm, and the hands did not"
    assert not follows(here, here, 0.0011), "nothing moved, so nothing explains that both are alike"
    assert not follows(here, two, 0.01), "another task's world"
    assert not follows(b"", b"", 0.01), "a world that is not known"


def test_a_refusal_names_the_twin_and_how_near_it_is() -> None:
    require_own(None)
    with pytest.raises(DuplicateEpisode, match=r"every action is that of 'episode-1'"):
        require_own(Twin("episode-1", "", 0.0))
    said = r"the hands move as in 'episode-1', .* 1\.23 mm apart, and 5 mm"
    with pytest.raises(CopiedMotion, match=said):
        require_own(Twin("episode-1", "hands", 0.00123))
    with pytest.raises(CopiedMotion, match=r"the joints move as .* 2\.00 mrad apart, and 10 mrad"):
        require_own(Twin("episode-1", "joints", 0.002))
