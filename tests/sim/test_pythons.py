"""A replay does not depend on Python's version: the built-in `sum` of floats compensates since 3.12."""

from __future__ import annotations

import builtins

import pytest

from sim.catalogue import TASKS
from tests.sim.make_corpus import check, load

_sum = builtins.sum


def compensated(values, start=0):
    """Return what `sum` gives since Python 3.12 (A. Neumaier, 1974); before that, it only adds."""
    numbers = list(values)
    if not any(isinstance(number, float) for number in numbers):
        return _sum(numbers, start)
    total, lost = float(start), 0.0
    for number in numbers:
        found = total + number
        lost += (total - found) + number if abs(total) >= abs(number) else (number - found) + total
        total = found
    return total + lost


def test_the_sum_of_this_test_is_that_of_newer_pythons():
    assert compensated([0.1] * 10) == 1.0
    assert compensated([1, 2], 3) == 6


@pytest.mark.parametrize("name", TASKS)
def test_an_episode_replays_with_the_sum_of_newer_pythons(name, monkeypatch):
    monkeypatch.setattr(builtins, "sum", compensated)
    check(load(name))
