"""Before anything is driven with a simulated robot, its descriptor tells what would keep it from being checked here."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from recorder.proof.replayed import kept_from
from sim.catalogue import make_world
from teleop.wire.descriptor import describe, require_descriptor

SPECS = [make_world("panda", task).spec for task in ("lift", "stack")]


@pytest.fixture
def said() -> dict[str, Any]:
    return copy.deepcopy(require_descriptor(describe("robot-1", *SPECS)))


def reasons(said: dict[str, Any]) -> dict[str, str]:
    return {task: error.reason for task, error in kept_from(said).items()}


def test_nothing_keeps_a_hub_of_the_same_release_from_it(said: dict[str, Any]) -> None:
    assert kept_from(said) == {}


def test_a_robot_that_is_not_here_is_unknown_at_every_task(said: dict[str, Any]) -> None:
    said["model"] = "pandora"

    assert reasons(said) == {"lift": "UnknownRobot", "stack": "UnknownRobot"}
    assert "`armshare robot add` adds others" in str(kept_from(said)["lift"])


def test_a_task_is_told_apart_from_the_others(said: dict[str, Any]) -> None:
    said["tasks"][1]["version"] += 1
    assert reasons(said) == {"stack": "TaskMismatch"}
    said["tasks"][1]["name"] = "waving"
    assert reasons(said) == {"waving": "UnknownTask"}


def test_another_engine_at_one_task_or_at_all_of_them(said: dict[str, Any]) -> None:
    said["tasks"][1]["setting"]["engine"]["scene"] = "0123456789abcdef"
    assert reasons(said) == {"stack": "EngineMismatch"}
    said["engine"]["libm"] = "0123456789abcdef"
    assert reasons(said) == {"lift": "EngineMismatch", "stack": "EngineMismatch"}
    said["engine"].clear()
    assert reasons(said)["lift"] == "EngineMismatch"
