"""A planted effect is found, a null is not, and what does not hold is said."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np

from armshare.study.arms import Alone, Arm
from armshare.study.claims import Claim, claim, could_be_tested
from armshare.study.curating import curating
from armshare.study.plan import Group, Wanted
from armshare.study.report import Report, page, reported
from armshare.study.statistics import Estimate
from sim.demonstrators.defects import Kind
from tests.armshare.study.made import evidence


def honest(one: Wanted, rng: np.random.Generator) -> float:
    """A score that knows defects and skill."""
    defective = one.kind not in (None, Kind.SLOW)
    return 0.9 * one.skill - 0.4 * defective + rng.normal(0.0, 0.02)


def shuffled(_one: Wanted, rng: np.random.Generator) -> float:
    """A score that knows nothing."""
    return float(rng.random())


def by_quality(mix: Group | None, arm: str) -> float:
    """What arms teach if the score is honest."""
    if mix is None:
        return {Alone.CLEAN: 0.8, Alone.SLOW: 0.2, Alone.RECOVERING: 0.6}[Alone(arm)]
    return {Arm.TOP: 0.85, Arm.CLEAN: 0.85, Arm.BOTTOM: 0.2}.get(Arm(arm), 0.5)


def all_the_same(_mix: Group | None, _arm: str) -> float:
    """What arms teach if the score knows nothing."""
    return 0.5


@cache
def honestly() -> Report:
    """What is reported of a score that is honest."""
    return reported(evidence(honest, by_quality))


def claims(report: Report) -> dict[str, Claim]:
    return {one.id: one for one in report.claims}


def test_a_planted_effect_is_found_in_every_claim():
    found = claims(honestly())
    assert found["a.lift.noise"].sure
    assert found["a.lift.drop_and_regrasp"].sure
    assert "a slow drive is a clean one" in found["a.lift.slow"].untested
    for mix in ("subtle", "wrong"):
        assert found[f"b.{mix}.lift.beats-bottom"].holds
        assert found[f"b.{mix}.lift.beats-random"].holds
        assert found[f"b.{mix}.lift.recovered"].holds
    assert found["c.lift.all"].sure
    assert found["c.lift.successes"].sure
    assert found["d.lift.slow"].sure


def test_a_null_is_not_found():
    found = claims(reported(evidence(shuffled, all_the_same)))
    assert not [one.id for one in found.values() if one.id[0] in "abc" and one.sure]
    assert not [one.id for one in found.values() if one.id[0] in "abc" and one.holds and "recovered" not in one.id]
    for mix in ("subtle", "wrong"):
        assert "not sure" in found[f"b.{mix}.lift.recovered"].note


def test_what_is_paid_less_than_it_teaches_does_not_hold():
    """Here recoveries cost nearly half of the price, and teach three quarters of what a clean drive teaches."""
    found = claims(honestly())
    recovering = found["d.lift.recovering"]
    assert recovering.value is not None
    assert recovering.value < 0.0
    assert not recovering.holds


def test_a_defect_that_never_ends_in_success_is_no_evidence():
    found = claims(reported(evidence(honest, by_quality, succeeds=lambda one: one.kind is not Kind.EARLY_RELEASE)))
    released = found["a.lift.early_release"]
    assert (released.value, released.holds) == (None, False)
    assert "not one drive" in released.untested


def test_what_cannot_be_tested_neither_holds_nor_fails_and_says_why():
    report = honestly()
    found = {one.id: one for one in report.claims}
    assert found["a.lift.wrong_object"].untested == "this defect cannot be at lift"
    rest = {one.id for one in report.claims if one.untested}
    assert rest == {"a.lift.wrong_object", "a.lift.slow"}
    assert not any(one.holds or one.sure for one in report.claims if one.untested)
    could = could_be_tested(report.claims)
    assert len(could) == len(report.claims) - 2
    held = sum(one.holds for one in could)
    assert f"**{held} of {len(could)} claims hold; 2 more cannot be tested here.**" in page(report)


def test_who_curates_is_told_how_the_null_does_and_how_all_of_the_mix_does():
    """Here the top half teaches more than both, and then no more than either."""
    better, same = curating(honestly()), curating(reported(evidence(honest, all_the_same)))
    assert better.count("the score is better, by") == 4
    assert "the score is better" not in same
    for text in (better, same):
        assert "the shortest half" in text
        assert "all of it" in text


def test_one_arm_beats_another_only_if_that_is_sure():
    unsure = claim("b", "", Estimate(0.1, -0.05, 0.2), 0.0, beats=True)
    assert (unsure.holds, unsure.sure) == (False, False)
    assert claim("b", "", Estimate(0.1, 0.01, 0.2), 0.0, beats=True).holds
    assert not claim("b", "", Estimate(0.0, 0.0, 0.0), 0.0, beats=True).holds


def test_a_value_at_its_aim_holds_and_is_sure_only_with_all_of_its_interval():
    reaches = claim("a", "", Estimate(0.96, 0.9, 1.0), 0.95)
    assert (reaches.holds, reaches.sure) == (True, False)
    assert claim("a", "", Estimate(0.96, 0.95, 1.0), 0.95).sure
    assert not claim("a", "", Estimate(), 0.95).holds


def test_the_page_has_every_claim_and_the_report_every_field():
    report = honestly()
    text = page(report)
    for one in report.claims:
        assert one.says in text
    told = msgspec.json.decode(msgspec.json.encode(report))
    assert {"value", "low", "high", "aim", "holds"} <= told["claims"][0].keys()
    assert sum(one["holds"] for one in told["claims"]) == sum(one.holds for one in report.claims)
