"""What learns in a study is behaviour cloning as it says: the right gradient, eight actions, the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from armshare.study.learner import AHEAD, features, fit, followed, load, slopes


def test_the_gradient_is_that_of_the_mean_absolute_error():
    rng = np.random.default_rng(0)
    sizes = [(5, 7), (7,), (7, 7), (7,), (7, 4), (4,)]
    weights = [rng.normal(0.0, 0.5, size) for size in sizes]
    inputs, then = rng.normal(size=(30, 5)), rng.normal(size=(30, 4))

    def error() -> float:
        layer = inputs
        for number in (0, 2):
            layer = np.maximum(layer @ weights[number] + weights[number + 1], 0.0)
        return float(np.abs(layer @ weights[4] + weights[5] - then).mean())

    found = slopes(weights, inputs, then)
    for weight, slope in zip(weights, found, strict=True):
        at = tuple(0 for _ in weight.shape)
        before, weight[at] = weight[at], weight[at] + 1e-6
        above = error()
        weight[at] = before - 1e-6
        below = error()
        weight[at] = before
        assert slope[at] == pytest.approx((above - below) / 2e-6, rel=1e-3, abs=1e-7)


def test_it_learns_a_plain_rule_and_the_same_one_each_time():
    rng = np.random.default_rng(1)
    seen = rng.normal(size=(400, 3)).astype(np.float32)
    then = np.hstack([seen[:, :1] - seen[:, 1:2]] * 2).astype(np.float32)
    one, again, other = (fit(seen, then, hidden=32, updates=600, seed=seed) for seed in (0, 0, 1))
    layer = (seen - one["mean"]) / one["deviation"]
    for number in (0, 2):
        layer = np.maximum(layer @ one[str(number)] + one[str(number + 1)], 0.0)
    assert np.abs(layer @ one["4"] + one["5"] - then).mean() < 0.1 * np.abs(then).mean()
    assert all((one[name] == again[name]).all() for name in one)
    assert not (one["0"] == other["0"]).all()


def test_the_actions_that_followed_end_with_the_last_one_repeated():
    actions = np.arange(10, dtype=np.float32)[:, None]
    found = followed(actions)
    assert found.shape == (10, AHEAD)
    assert found[0].tolist() == list(range(AHEAD))
    assert found[8].tolist() == [8.0] + [9.0] * (AHEAD - 1)


def test_things_are_seen_from_the_hand():
    rng = np.random.default_rng(4)
    seen = {"ee_pose": pose(rng), "gripper_position": np.array([0.5]), "cube_pose": pose(rng), "red_pose": pose(rng)}
    moved = {
        name: value + np.array([0.3, -0.2, 0, 0, 0, 0, 0]) if name.endswith("_pose") else value
        for name, value in seen.items()
    }
    assert features(moved) == pytest.approx(features(seen))
    many = {name: np.stack([value, value]) for name, value in seen.items()}
    assert features(many).shape == (2, 4 + 2 * 6)


def test_a_policy_plans_eight_actions_and_forgets_them_with_its_episode(tmp_path: Path):
    rng = np.random.default_rng(5)
    seen = rng.normal(size=(50, 10)).astype(np.float32)
    then = rng.uniform(-1.0, 1.0, (50, AHEAD * 7)).astype(np.float32)
    np.savez(tmp_path / "policy.npz", **fit(seen, then, hidden=8, updates=5, seed=0))
    policy = load(str(tmp_path / "policy.npz"))
    one, other = ({"ee_pose": pose(rng), "gripper_position": np.array([0.5]), "cube_pose": pose(rng)} for _ in range(2))
    first = [policy(one) for _ in range(AHEAD)]
    assert {action.shape for action in first} == {(7,)}
    assert {abs(float(action[6])) for action in first} <= {0.0, 1.0}
    policy.reset()
    policy(other)
    policy.reset()
    assert (policy(one) == first[0]).all()


def test_a_policy_is_the_one_that_is_in_its_file_when_an_episode_begins(tmp_path: Path):
    rng = np.random.default_rng(6)
    seen, then = (
        rng.normal(size=(50, 10)).astype(np.float32),
        rng.uniform(-1.0, 1.0, (50, AHEAD * 7)).astype(np.float32),
    )
    one, other = (fit(seen, then, hidden=8, updates=5, seed=seed) for seed in (0, 1))
    what = {"ee_pose": pose(rng), "gripper_position": np.array([0.5]), "cube_pose": pose(rng)}
    np.savez(tmp_path / "policy.npz", **one)
    policy = load(str(tmp_path / "policy.npz"))
    first = policy(what)
    np.savez(tmp_path / "policy.npz", **other)
    policy.reset()
    assert not (policy(what) == first).all()


def pose(rng: np.random.Generator) -> np.ndarray:
    quaternion = rng.normal(size=4)
    return np.concatenate([rng.normal(size=3), quaternion / np.linalg.norm(quaternion)])
