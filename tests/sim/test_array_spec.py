"""An array spec says what an array must be, and holds one to it in words."""

from __future__ import annotations

import numpy as np
import pytest

from sim.catalogue import description
from sim.physics.bodies import arrays
from sim.robot import ArrayMismatchError, ArraySpec

OPENING = ArraySpec("gripper", (2,), "1", "openings", lower=0.0, upper=1.0)


def test_what_fits_comes_back_as_an_array_of_the_specs_dtype():
    found = OPENING.validate([0, 1])
    assert found.dtype == np.float64
    assert found.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([0.0], r"expected gripper of shape \(2,\), got \(1,\)"),
        ([[0.0, 1.0]], r"expected gripper of shape \(2,\), got \(1, 2\)"),
        ("open", "expected gripper as numbers of shape"),
        ([0.0, np.nan], r"expected gripper of finite numbers, got \[0.0, nan\]"),
        ([0.0, np.inf], "expected gripper of finite numbers"),
        ([0.0, 1.0001], r"expected gripper between 0.0 and 1.0, 1, got \[0.0, 1.0001\]"),
        ([-1e-9, 1.0], "expected gripper between"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(value, said):
    with pytest.raises(ArrayMismatchError, match=said):
        OPENING.validate(value)


def test_to_conform_asks_for_shape_and_finite_numbers_and_not_for_the_bounds():
    assert OPENING.conform([-5.0, 5.0]).tolist() == [-5.0, 5.0]
    with pytest.raises(ArrayMismatchError):
        OPENING.conform([np.nan, 0.0])


def test_bounds_are_one_for_each_number_if_they_are_given_so():
    rows = ArraySpec("joint_position", (2,), "rad", "", lower=(-1.0, -2.0), upper=(1.0, 2.0))
    assert rows.validate([1.0, 2.0]).tolist() == [1.0, 2.0]
    with pytest.raises(ArrayMismatchError):
        rows.validate([1.5, 1.5])


@pytest.mark.parametrize("robot", ["panda", "dual_panda", "husky"])
def test_a_robots_action_has_its_limits_as_bounds(robot):
    told = description(robot)
    spec = told.spec((*told.arrays, *arrays([])), simulated=True, control_hz=20.0)
    joints, gripper = spec.action
    assert (joints.shape, gripper.shape) == ((spec.joints,), (spec.hands,))
    joints.validate(spec.home_rad)
    with pytest.raises(ArrayMismatchError):
        joints.validate(np.maximum(spec.joint_upper_rad + 1e-6, spec.home_rad))
    with pytest.raises(ArrayMismatchError):
        gripper.validate(np.full(spec.hands, -0.1))
