"""Which real arms there are, and what is said of one that there is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.catalogue import ROBOTS, description
from sim.robot import EpisodeLengthError
from teleop.hardware.arms import ARMS, UnknownArmError, open_arm


@pytest.mark.parametrize("kind", ARMS)
def test_each_arm_is_made_without_being_opened_and_is_drawn_by_a_hub(kind: str) -> None:
    arm = open_arm(kind, "nowhere", task="stack", instruction="Stack the cups.", length_s=30.0)
    spec = arm.spec
    assert not spec.simulated
    assert spec.task is not None
    assert (spec.task.name, spec.task.instruction) == ("stack", "Stack the cups.")
    assert spec.task.max_steps == 30.0 * spec.control_hz
    assert description(spec.model.name).model == spec.model, "the hub would not find its model"


def test_an_arm_without_an_instruction_is_driven_as_one_likes() -> None:
    task = open_arm("so101", "nowhere", task="stack").spec.task
    assert task is not None
    assert (task.name, task.max_steps) == ("free", 1200)


def test_what_no_driver_is_for_is_named() -> None:
    assert "panda" in ROBOTS
    with pytest.raises(UnknownArmError, match=r"'panda' is not a real robot .*: so101, ur5e_gripper and"):
        open_arm("panda", "/dev/ttyACM0")


def test_a_calibration_of_an_arm_that_needs_none_is_refused() -> None:
    with pytest.raises(UnknownArmError, match="takes no calibration"):
        open_arm("xarm6_gripper", "192.0.2.1", calibration=Path("arm.json"))


def test_a_length_that_no_episode_has_is_refused() -> None:
    with pytest.raises(EpisodeLengthError):
        open_arm("so101", "nowhere", length_s=4000.0)
