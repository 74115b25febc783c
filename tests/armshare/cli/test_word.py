"""Promises of the question at the end of a drive: only a real robot's operator is asked, and only they answer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from armshare.operator.word import word_of


def driver(*, simulated: bool) -> Any:
    return SimpleNamespace(robot={"simulated": simulated}, task={"instruction": "Fold the cloth."})


def answered(*lines: str) -> tuple[bool | None, list[str]]:
    waiting, asked = list(lines), []

    def ask(question: str) -> str:
        asked.append(question)
        return waiting.pop(0)

    return asyncio.run(word_of(None, ask)(driver(simulated=False))), asked


def unasked(_question: str) -> str:
    raise AssertionError("somebody was asked")


@pytest.mark.parametrize(("line", "said"), [("y", True), (" Yes ", True), ("n", False), ("", None)])
def test_the_answer_is_the_operators_word(line: str, said: bool | None) -> None:
    assert answered(line)[0] is said


def test_something_else_is_asked_again_and_the_task_is_named() -> None:
    said, asked = answered("perhaps", "no")
    assert (said, len(asked)) == (False, 2)
    assert "Fold the cloth." in asked[0]


def test_what_was_said_beforehand_is_not_asked() -> None:
    assert asyncio.run(word_of(False, unasked)(driver(simulated=False))) is False


def test_nobody_is_asked_about_a_simulated_robot() -> None:
    assert asyncio.run(word_of(True, unasked)(driver(simulated=True))) is None
