"""Promises of the answers: what one host said of itself never costs everyone the list."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from teleop.hub.answers import RegisteredRobot, RobotAnswer

TASK = {"name": "lift", "instruction": "Lift it.", "max_steps": 900, "price": "1", "version": 1, "unchecked": None}
CARD: dict[str, Any] = {
    "robot": "0xR",
    "name": "panda-1",
    "model": "panda",
    "owner": "0xO",
    "driver": None,
    "kept_s": None,
    "task": None,
    "simulated": True,
    "private": False,
    "online": False,
    "estopped": False,
    "fault": None,
    "stop": None,
    "unrecordable": None,
    "unknown": None,
    "state": "offline",
    "queue_length": 0,
    "wait_s": None,
}


@pytest.mark.parametrize("half", [{"name": "lift"}, {**TASK, "max_steps": "many"}, {**TASK, "instruction": None}, {}])
def test_half_a_task_is_left_out_of_the_list_and_the_rest_stays(half):
    answer = RobotAnswer.model_validate({**CARD, "tasks": [TASK, half]})
    assert answer.model_dump() == {**CARD, "tasks": [TASK]}


@pytest.mark.parametrize(
    "change",
    [
        {"simulated": "yes"},
        {"name": [[]]},
        {"more": {}},
        {"model": "x" * 201},
        {"robot": None},
        {"issued_ms": 1},
        {"issuedMs": -1},
    ],
)
def test_a_registration_is_of_the_fields_that_are_signed(change):
    said = {"robot": "0xR", "owner": "0xO", "name": "mine", "model": "panda", "simulated": True}
    said |= {"nonce": "0x01", "issuedMs": 1}
    assert RegisteredRobot.model_validate(said).model_dump() == said
    with pytest.raises(ValidationError):
        RegisteredRobot.model_validate(said | change)
