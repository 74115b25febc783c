"""The words of a search: read from strings, and refused by name if they cannot be meant."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.hub.states import EpisodeState
from recorder.proof.bundle import TrustClass
from rewards.datasets.words import (
    FILTERS,
    LIMIT_MAX,
    PARTS,
    TRUST,
    WORDS,
    DatasetName,
    FilterValueError,
    Order,
    PartRange,
    UnknownFilterError,
    Words,
)
from rewards.score.score import Vector
from rewards.score.teaching.rules import PARTS as RULE_PARTS
from rewards.tables import SearchedRow
from teleop.wire.driver import DriverKind
from tests.recorder.factory import fixed_key

ADA = fixed_key("ada").address


def test_nothing_said_matches_anything_the_newest_first():
    assert Words.of([]) == Words()
    assert (Words().order, Words().limit, Words().after) == (Order.NEWEST, 50, None)


def test_every_word_is_read():
    said = {
        "task": "lift",
        "robot": ADA,
        "model": "panda",
        "operator": ADA,
        "success": "true",
        "state": "verified",
        "trust": "replayed",
        "driver": "policy",
        "practice": "false",
        "score_min": "0.8",
        "score_max": "1",
        "pace_max": ".5",
        "object_path_min": "0.25",
        "object_path_max": "0.75",
        "duration_min_s": "1.5",
        "duration_max_s": "60",
        "since": "2026-11-27",
        "until": "2026-11-27T01:00:00+01:00",
        "dataset": "lab/lift@3",
        "order": "best",
        "limit": "200",
        "after": "best.1.e",
    }
    assert Words.of(said.items()) == Words(
        task="lift",
        robot=ADA,
        model="panda",
        operator=ADA,
        success=True,
        state=EpisodeState.VERIFIED,
        trust="replayed",
        driver=DriverKind.POLICY,
        practice=False,
        score_min_ppm=800_000,
        score_max_ppm=1_000_000,
        parts=(PartRange("object_path", 250_000, 750_000), PartRange("pace", None, 500_000)),
        duration_min_ms=1500,
        duration_max_ms=60_000,
        since_ms=1_795_737_600_000,
        until_ms=1_795_737_600_000,
        dataset=DatasetName("lab/lift", 3),
        order=Order.BEST,
        limit=200,
        after="best.1.e",
    )


REFUSED = [
    ("task", ""),
    ("task", "x" * 65),
    ("task", "a\x00b"),
    ("task", "a\nb"),
    ("model", "x" * 100_000),
    ("robot", "0x12"),
    ("operator", ADA.lower()),
    ("operator", "%"),
    ("success", "yes"),
    ("success", "True"),
    ("state", "settled"),
    ("trust", "trusted"),
    ("driver", "robot"),
    ("practice", ""),
    ("score_min", "80"),
    ("score_min", "-0.1"),
    ("score_min", "nan"),
    ("score_max", "inf"),
    ("score_max", "1e-3"),
    ("score_max", "0." + "1" * 5000),
    ("pace_min", "0,5"),
    ("duration_min_s", "-1"),
    ("duration_max_s", "10000000000"),
    ("since", "yesterday"),
    ("since", "2026-13-01"),
    ("since", "2026-1-1"),
    ("since", "٢٠٢٦-11-27"),
    ("until", "9" * 41),
    ("dataset", "lift"),
    ("dataset", "lab/lift@0"),
    ("dataset", "lab/lift@"),
    ("dataset", "../lift"),
    ("order", "random"),
    ("limit", "0"),
    ("limit", "201"),
    ("limit", "1" * 5000),
    ("limit", "ten"),
    ("after", ""),
    ("after", "x" * 121),
    ("after", "a\x00"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_a_word_cannot_mean_is_refused_by_its_name_and_shortly(name, value):
    with pytest.raises(FilterValueError) as refused:
        Words.of([(name, value)])
    assert str(refused.value).startswith(f"{name} must be ")
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("name", ["tusk", "Task", "score", "score-min", "", "x" * 10_000, "order_by"])
def test_a_word_that_there_is_not_is_refused_with_those_that_there_are(name):
    with pytest.raises(UnknownFilterError) as refused:
        Words.of([("task", "lift"), (name, "1")])
    assert all(word in str(refused.value) for word in WORDS)
    assert len(str(refused.value)) < 1500


def test_a_word_that_is_said_twice_is_refused():
    with pytest.raises(FilterValueError, match="task is given twice"):
        Words.of([("task", "lift"), ("task", "push")])


def test_a_word_that_may_not_be_said_here_is_refused():
    with pytest.raises(UnknownFilterError, match="'limit'"):
        Words.of([("limit", "1")], FILTERS)


def test_a_bound_is_never_rounded_to_let_more_in():
    words = Words.of({"score_min": "0.7999999", "score_max": "0.8000009", "duration_min_s": "1.0001"}.items())
    assert (words.score_min_ppm, words.score_max_ppm, words.duration_min_ms) == (800_000, 800_000, 1001)


@given(st.integers(0, 1_000_000))
def test_a_score_is_found_by_itself_as_it_is_shown(ppm):
    shown = f"{ppm / 1_000_000:.6f}"
    words = Words.of([("score_min", shown), ("score_max", shown)])
    assert words.score_min_ppm == words.score_max_ppm == ppm


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_does_more_than_be_refused(name, value):
    for word in (name, *WORDS):
        try:
            Words.of([(word, value)])
        except (UnknownFilterError, FilterValueError) as error:
            assert str(error)  # noqa: PT017  either is right, and it says something


def test_the_parts_are_those_of_all_the_rules_and_each_has_its_column():
    by_rules = {"success", *RULE_PARTS, *(one.name for one in fields(Vector))}
    assert set(PARTS) == by_rules
    columns = {column.name for column in SearchedRow.__table__.columns}
    assert {f"{part}_ppm" for part in PARTS} | {"score_ppm"} == {name for name in columns if name.endswith("_ppm")}


def test_the_classes_of_trust_are_those_that_there_are():
    assert [one.value for one in TrustClass] == list(TRUST)


def test_every_word_is_described_for_a_machine_and_for_a_person():
    for name, word in WORDS.items():
        assert word.meaning.endswith("."), name
        assert word.metavar, name
        assert word.schema["type"] in ("string", "number", "integer"), name
    assert WORDS["limit"].schema["maximum"] == LIMIT_MAX
