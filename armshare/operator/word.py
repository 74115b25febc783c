"""Whether the task was done, in the word of whoever drove a real robot: asked in the terminal, or said beforehand."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from teleop.operator.driver import Driver
from teleop.operator.pilot import Word

_ANSWERS: Final = {"y": True, "yes": True, "n": False, "no": False}


def word_of(said: bool | None, ask: Callable[[str], str] | None = None) -> Word:
    """Return what says whether the task was done: `said`, or the answer to a question if that is None.

    Nobody is asked about a simulated robot, whose success is computed, nor where nobody can answer. `ask` shows a
    question and returns the line that was typed; by default it reads the terminal.
    """
    asked = ask or (input if sys.stdin.isatty() else None)

    async def word(driver: Driver) -> bool | None:
        if driver.robot["simulated"]:
            return None
        if said is not None or asked is None:
            return said
        return await asyncio.to_thread(_answer, asked, driver.task["instruction"])

    return word


def _answer(ask: Callable[[str], str], task: str) -> bool | None:
    question = f"Was the task done? {task} [y/n, Enter: I do not know] "
    while (line := ask(question).strip().lower()) not in _ANSWERS:
        if not line:
            return None
        question = "Type y or n, or press Enter if you do not know: "
    return _ANSWERS[line]
