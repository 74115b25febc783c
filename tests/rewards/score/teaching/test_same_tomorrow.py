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
        "reach": 987_500,
        "lift": 1_000_000,
        "push": 989_290,
        "pick_place": 998_830,
        "stack": 1_000_000,
        "sort": 999_940,
        "drawer": 1_000_000,
        "peg": 992_200,
        "pour": 974_410,
        "handover": 986_110,
        "fetch": 999_670,
    },
    "120": {
        "reach": 987_500,
        "lift": 1_000_000,
        "push": 989_140,
        "pick_place": 998_530,
        "stack": 994_900,
        "sort": 1_000_000,
        "drawer": 1_000_000,
        "peg": 992_380,
        "pour": 973_085,
        "handover": 992_680,
        "fetch": 992_710,
    },
}


@pytest.mark.parametrize("rate", KNOWN)
def test_an_episode_of_the_corpus_keeps_its_score(rate):
    assert {name: teaching_score(_taught(name, load(name, rate))).score_ppm for name in KNOWN[rate]} == KNOWN[rate]


def test_the_version_keeps_its_reference_set():
    assert REFERENCE_SET == 1
