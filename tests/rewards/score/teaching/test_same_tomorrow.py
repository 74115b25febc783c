"""Yesterday's score can be computed tomorrow: recorded episodes of every task keep the score that version 3 gave them.

If this fails, do not change the numbers: what was published has changed. A change of the rules is a new version.
"""

from __future__ import annotations

import pytest

from rewards.score.teaching.rules import REFERENCE_SET, teaching_score
from tests.everywhere import _taught
from tests.sim.make_corpus import load

KNOWN = {
    "240": {
        "reach": 983_500,
        "lift": 1_000_000,
        "push": 985_720,
        "pick_place": 998_440,
        "stack": 1_000_000,
        "sort": 999_920,
        "drawer": 1_000_000,
        "peg": 989_600,
        "pour": 965_896,
        "handover": 981_480,
        "fetch": 999_560,
    },
    "120": {
        "reach": 983_500,
        "lift": 1_000_000,
        "push": 985_520,
        "pick_place": 998_040,
        "stack": 993_200,
        "sort": 1_000_000,
        "drawer": 1_000_000,
        "peg": 989_840,
        "pour": 964_161,
        "handover": 990_240,
        "fetch": 990_280,
    },
}


@pytest.mark.parametrize("rate", KNOWN)
def test_an_episode_of_the_corpus_keeps_its_score(rate):
    assert {name: teaching_score(_taught(name, load(name, rate))).score_ppm for name in KNOWN[rate]} == KNOWN[rate]


def test_the_version_keeps_its_reference_set():
    assert REFERENCE_SET == 1
