"""What a host says of an episode's end and times is what the hub heard while it was driven."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from recorder.proof import refusals
from recorder.proof.asked import SKEW_MS, SLACK_MS, Live, SaidEnd
from recorder.proof.bundle import Bundle
from recorder.proof.case import Books, Trust
from recorder.proof.gates import SEAL_GATES
from recorder.proof.verify import require_gates, verify
from teleop.wire.reasons import EndReason
from tests.recorder.bundles import Adversary, good_bundle
from tests.recorder.proof.test_asked import HOURS_MS, LASTS_MS, ended, with_meta
from tests.recorder.proof.test_verify import HUBS, STARTED_MS, TICKET, refused_by, remade

CUT = (EndReason.HOST_LOST, EndReason.DISK_FULL, EndReason.RECORDER_FAILED)


@pytest.fixture(scope="module")
def adversary(tmp_path_factory: pytest.TempPathFactory) -> Adversary:
    return Adversary.of(good_bundle(tmp_path_factory.mktemp("bundle")))


def said(adversary: Adversary, **changes: Any) -> SaidEnd:
    end = adversary.episode.end
    return dataclasses.replace(SaidEnd(True, end.steps, end.success, True, end.reason), **changes)


def heard(live: Live, received_ms: int = STARTED_MS + HOURS_MS) -> Trust:
    """Return what a hub trusts that heard this, long before the episode came."""
    return dataclasses.replace(HUBS, books=Books(dataclasses.replace(TICKET, live=live), None, None, received_ms))


def between(ready_ms: int, ended_ms: int) -> Trust:
    return heard(Live(ready_ms, True, ended_ms))


def sealed(bundle: Bundle, trust: Trust) -> None:
    """Check what a hub checks when a host seals, before anything of the file."""
    require_gates(dataclasses.replace(bundle, episode=None, sha256=None, size=None), trust, SEAL_GATES)


def test_what_the_hub_heard_is_what_passes(adversary: Adversary) -> None:
    verify(adversary.bundle, heard(Live(STARTED_MS - 500, True, STARTED_MS + LASTS_MS, said(adversary))))
    verify(adversary.bundle, heard(Live(finished=True)))
    verify(adversary.bundle, heard(Live(finished=None)))


def test_an_episode_that_its_operator_did_not_finish_did_not_finish(adversary: Adversary) -> None:
    for ended_as in (None, said(adversary)):
        with pytest.raises(refusals.EndMismatch, match="no `finish` came"):
            verify(adversary.bundle, heard(Live(STARTED_MS, False, None, ended_as)))


@pytest.mark.parametrize("steps", [1, 39, 41, 1200])
def test_a_step_limit_is_the_limit_whoever_reads_the_file(adversary: Adversary, steps: int) -> None:
    limited = with_meta("task", max_steps=steps)(ended(adversary, reason=EndReason.STEP_LIMIT))
    refused = refusals.SuccessMismatch if steps < adversary.episode.steps else refusals.EndMismatch

    assert refused_by(remade(adversary, limited), Trust(HUBS.domain)) is refused


def test_a_step_limit_that_was_reached_needs_no_finish(adversary: Adversary) -> None:
    limited = with_meta("task", max_steps=adversary.episode.steps)(ended(adversary, reason=EndReason.STEP_LIMIT))

    verify(remade(adversary, limited), Trust(HUBS.domain))
    told = Live(ended=said(adversary, reason=EndReason.STEP_LIMIT))
    sealed(remade(adversary, limited), heard(told))


OTHERWISE: dict[str, dict[str, Any]] = {
    "fewer steps": {"steps": 39},
    "more steps": {"steps": 41},
    "no success": {"success": False},
    "an unknown success": {"success": None},
    "another reason": {"reason": EndReason.LEFT, "valid": False},
    "that it does not count": {"valid": False},
    "that nothing was kept": {"kept": False, "steps": 0, "valid": False},
}


@pytest.mark.parametrize("other", OTHERWISE)
def test_what_the_operator_was_told_is_what_is_scored(adversary: Adversary, other: str) -> None:
    assert adversary.episode.end.success is True
    trust = heard(Live(finished=True, ended=said(adversary, **OTHERWISE[other])))

    assert refused_by(adversary.bundle, trust) is refusals.EndMismatch
    with pytest.raises(refusals.EndMismatch, match="when it ended, its host said"):
        sealed(adversary.bundle, trust)


@pytest.mark.parametrize("reason", CUT)
def test_a_recording_that_its_host_could_not_finish_is_taken_as_the_invalid_episode_that_it_is(
    adversary: Adversary, reason: EndReason
) -> None:
    """The end that was told was not durable yet: a crash, or a full disk, left fewer steps."""
    end = adversary.episode.end
    cut = remade(adversary, ended(adversary, reason=reason, success=None))
    assert end.steps == 40

    for steps in (40, 41, 400):
        sealed(cut, heard(Live(finished=True, ended=said(adversary, steps=steps))))
    sealed(cut, heard(Live(finished=False)))
    with pytest.raises(refusals.EndMismatch):
        sealed(cut, heard(Live(finished=True, ended=said(adversary, steps=39))))


def test_an_end_that_counted_when_it_was_told_is_not_called_another_later(adversary: Adversary) -> None:
    left = remade(adversary, ended(adversary, reason=EndReason.LEFT))

    sealed(left, heard(Live(ended=said(adversary, reason=EndReason.LEFT, valid=False))))
    sealed(left, heard(Live()))
    with pytest.raises(refusals.EndMismatch, match="finished after 40 steps, success; now it says left"):
        sealed(left, heard(Live(finished=True, ended=said(adversary))))


@pytest.mark.parametrize(
    ("ready_ms", "ended_ms"),
    [
        (STARTED_MS - HOURS_MS, STARTED_MS + LASTS_MS),  # driven long after it was ready
        (STARTED_MS + SLACK_MS - 100, STARTED_MS + LASTS_MS),  # the news of `ready` was late
        (STARTED_MS + SKEW_MS - 1000, STARTED_MS + SKEW_MS + 5000),
        (STARTED_MS - SKEW_MS - 1000, STARTED_MS - SKEW_MS + 5000),
    ],
)
def test_times_that_fit_what_the_hub_heard_refuse_nobody(adversary: Adversary, ready_ms: int, ended_ms: int) -> None:
    verify(adversary.bundle, between(ready_ms, ended_ms))


@pytest.mark.parametrize(
    ("ready_ms", "ended_ms", "why"),
    [
        (STARTED_MS - 500, STARTED_MS - 501, "lasts 2.0 s, and there were -0.0 s from when the robot was ready"),
        (STARTED_MS + SKEW_MS + 1000, STARTED_MS + HOURS_MS, "before the robot was ready"),
        (STARTED_MS - HOURS_MS, STARTED_MS - SKEW_MS - 1000, "after its end was told"),
    ],
)
def test_an_episode_lies_between_ready_and_its_end_and_not_only_before_its_arrival(
    adversary: Adversary, ready_ms: int, ended_ms: int, why: str
) -> None:
    with pytest.raises(refusals.TimeMismatch, match=why):
        verify(adversary.bundle, between(ready_ms, ended_ms))


@pytest.mark.parametrize("live", [Live(finished=True), Live(STARTED_MS, True), Live(None, True, None)])
def test_without_ready_or_its_end_order_and_arrival_are_what_counts(adversary: Adversary, live: Live) -> None:
    verify(adversary.bundle, heard(live, STARTED_MS + LASTS_MS))
    with pytest.raises(refusals.TimeMismatch, match="after it came"):
        verify(adversary.bundle, heard(live, STARTED_MS - SKEW_MS - 1000))
