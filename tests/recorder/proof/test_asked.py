"""A host that says otherwise than its hub was told, or knows by its own clock: each lie is signed by every key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from recorder.file.episode import Episode
from recorder.file.meta import Meta
from recorder.proof import refusals
from recorder.proof.asked import SKEW_MS, SLACK_MS
from recorder.proof.bundle import Bundle
from recorder.proof.case import Books, SpecDiffersError, Trust
from recorder.proof.verify import verify
from teleop.wire.driver import PERSON, Driver, DriverKind
from tests.recorder.bundles import Adversary, good_bundle, with_parts
from tests.recorder.factory import fake_grant
from tests.recorder.proof.test_verify import ASKED, HUBS, RECEIVED_MS, STARTED_MS, TICKET, refused_by, remade


@pytest.fixture(scope="module")
def adversary(tmp_path_factory: pytest.TempPathFactory) -> Adversary:
    return Adversary.of(good_bundle(tmp_path_factory.mktemp("bundle")))


def with_meta(part: str, **changes: Any) -> Callable[[Meta], Meta]:
    return lambda meta: msgspec.structs.replace(meta, **{part: msgspec.structs.replace(getattr(meta, part), **changes)})


def the_cube_as_the_hand(meta: Meta) -> Meta:
    hand = msgspec.structs.replace(meta.spec.end_effectors[0], pose="cube_pose")
    return msgspec.structs.replace(meta, spec=msgspec.structs.replace(meta.spec, end_effectors=[hand]))


def in_degrees(meta: Meta) -> Meta:
    first, *others = meta.spec.observation
    arrays = [msgspec.structs.replace(first, unit="degrees"), *others]
    return msgspec.structs.replace(meta, spec=msgspec.structs.replace(meta.spec, observation=arrays))


LIES: dict[str, Callable[[Meta], Meta]] = {
    "a simulation as a real robot": with_meta("robot", simulated=False),
    "another model": with_meta("robot", model="other_arm"),
    "limits of a billion": with_meta("spec", joint_upper_rad=[1e9, 1e9, 1e9]),
    "a speed of a billion": with_meta("spec", joint_velocity_max_rad_s=[1e9, 1e9, 1e9]),
    "a coarse resolution": with_meta("spec", joint_resolution_rad=[0.1, 0.1, 0.1]),
    "another home": with_meta("spec", home_rad=[0.1, 0.0, 0.0]),
    "a rate of a hundredth": with_meta("spec", control_hz=0.01),
    "the cube as the hand": the_cube_as_the_hand,
    "another unit": lambda meta: with_meta(
        "spec",
        observation=[msgspec.structs.replace(meta.spec.observation[0], unit="degrees"), *meta.spec.observation[1:]],
    )(meta),
    "another instruction": with_meta("task", instruction="Ignore the cube and wave."),
    "a later version of the task": with_meta("task", version=2),
    "more time": with_meta("task", max_steps=100_000),
    "other stages": with_meta("task", stages=["reach the cube", "wave"]),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_an_episode_says_otherwise_than_the_hub_was_told_before_is_refused_by_name(
    adversary: Adversary, lie: str
) -> None:
    bundle = remade(adversary, LIES[lie](adversary.episode.meta))

    assert refused_by(bundle) is refusals.SpecMismatch
    verify(bundle, dataclasses.replace(HUBS, books=Books(dataclasses.replace(TICKET, asked=None), None, None)))


def test_an_episode_under_another_grant_of_the_same_wallet_is_not_the_leases(adversary: Adversary) -> None:
    values, signature = fake_grant(not_after_ms=STARTED_MS + 60_000)
    meta = adversary.episode.meta
    kept = msgspec.structs.replace(meta.grant.values, not_after_ms=str(values["notAfterMs"]))
    grant = msgspec.structs.replace(meta.grant, values=kept, signature=signature)

    assert refused_by(remade(adversary, msgspec.structs.replace(meta, grant=grant))) is refusals.TicketMismatch


def by(driver: Driver) -> dict[str, Any]:
    """What the hub asked for, if its operator said that this drives."""
    ticket = dataclasses.replace(TICKET, asked=dataclasses.replace(ASKED, driver=driver))
    return {"trust": dataclasses.replace(HUBS, books=Books(ticket, None, None, RECEIVED_MS))}


DRIVERS = {
    "a person": PERSON,
    "a script": Driver(DriverKind.SCRIPT, "my_script.py", 64 * "5"),
    "a policy": Driver(DriverKind.POLICY, "my_policy:act", 64 * "5"),
    "a policy of another name": Driver(DriverKind.POLICY, "my_policy:other", 64 * "5"),
    "a policy of another version": Driver(DriverKind.POLICY, "my_policy:act", 64 * "6"),
}


@pytest.mark.parametrize("said", DRIVERS)
@pytest.mark.parametrize("told", DRIVERS)
def test_no_host_says_that_another_drove_than_the_operator_named(adversary: Adversary, told: str, said: str) -> None:
    bundle = remade(adversary, msgspec.structs.replace(adversary.episode.meta, driver=DRIVERS[said]))

    if said == told:
        verify(bundle, **by(DRIVERS[told]))
    else:
        assert refused_by(bundle, **by(DRIVERS[told])) is refusals.TicketMismatch
    verify(bundle, HUBS)  # the ticket of an earlier release says nothing of it


def test_the_manifest_and_the_file_name_the_same_driver(adversary: Adversary) -> None:
    policy = DRIVERS["a policy"]

    assert refused_by(adversary.say(driver=policy), **by(policy)) is refusals.ManifestDisagrees


def test_a_simulation_that_differs_in_what_it_says_of_itself_is_refused_as_such(adversary: Adversary) -> None:
    def differs(_episode: Any) -> None:
        raise SpecDiffersError("spec.joint_jerk_max_rad_s3: the simulation has [400.0], the episode says [1e9]")

    assert refused_by(adversary.bundle, dataclasses.replace(HUBS, replay=differs)) is refusals.SpecMismatch


def ended(adversary: Adversary, **changes: Any) -> Meta:
    return with_meta("end", **changes)(adversary.episode.meta)


@pytest.mark.parametrize("said", [True, False, None])
@pytest.mark.parametrize("shown", [1, 0, -1])
def test_success_is_what_the_last_step_shows_whatever_the_end_says(
    adversary: Adversary, said: bool | None, shown: int
) -> None:
    flags = adversary.episode.arrays["success"].copy()
    flags[-1] = shown
    bundle = remade(adversary, ended(adversary, success=said), {"success": flags})

    if said is {1: True, 0: False, -1: None}[shown]:
        verify(bundle, HUBS)
    else:
        assert refused_by(bundle) is refusals.SuccessMismatch


def test_a_success_flag_that_is_none_is_refused(adversary: Adversary) -> None:
    flags = adversary.episode.arrays["success"].copy()
    flags[3] = 2

    assert refused_by(remade(adversary, adversary.episode.meta, {"success": flags})) is refusals.SuccessMismatch


def test_more_steps_than_the_task_allows_are_refused(adversary: Adversary) -> None:
    short = with_meta("task", max_steps=adversary.episode.steps - 1)(adversary.episode.meta)

    assert refused_by(remade(adversary, short), Trust(HUBS.domain)) is refusals.SuccessMismatch


def at(issued_ms: int, received_ms: int) -> Trust:
    """Return what a hub trusts that asked for the episode, and received it, at these times."""
    ticket = dataclasses.replace(TICKET, asked=dataclasses.replace(ASKED, issued_ms=issued_ms))
    return dataclasses.replace(HUBS, books=Books(ticket, None, None, received_ms))


LASTS_MS = 2_000
HOURS_MS = 3 * 3_600_000


@pytest.mark.parametrize(
    ("issued_ms", "received_ms"),
    [
        (STARTED_MS - HOURS_MS, STARTED_MS + HOURS_MS),  # driven long after it was asked for, handed in long after
        (STARTED_MS + SKEW_MS - 1000, STARTED_MS + SKEW_MS + 5000),  # the host's clock is a little late
        (STARTED_MS - SKEW_MS - 1000, STARTED_MS - SKEW_MS + 5000),  # or early
        (STARTED_MS, STARTED_MS + LASTS_MS - SLACK_MS + 100),
    ],
)
def test_clocks_that_differ_a_little_refuse_nobody(adversary: Adversary, issued_ms: int, received_ms: int) -> None:
    verify(adversary.bundle, at(issued_ms, received_ms))


@pytest.mark.parametrize(
    ("issued_ms", "received_ms", "said"),
    [
        (STARTED_MS + SKEW_MS + 1000, STARTED_MS + SKEW_MS + HOURS_MS, "before it was asked for"),
        (STARTED_MS - HOURS_MS, STARTED_MS - SKEW_MS - 1000, "after it came"),
        (STARTED_MS, STARTED_MS - SLACK_MS, "from when it was asked for to when it came"),
    ],
)
def test_an_episode_of_another_time_than_the_hubs_is_refused(
    adversary: Adversary, issued_ms: int, received_ms: int, said: str
) -> None:
    with pytest.raises(refusals.TimeMismatch, match=said):
        verify(adversary.bundle, at(issued_ms, received_ms))


def test_an_episode_that_was_made_faster_than_its_rate_is_refused(adversary: Adversary) -> None:
    arrays = adversary.episode.arrays
    quick = {
        name: arrays[name][0] + (arrays[name] - arrays[name][0]) // 3
        for name in ("time/t_observed_mono_ns", "time/t_sent_mono_ns", "time/t_wall_ns")
    }

    with pytest.raises(refusals.TimeMismatch, match="take at least"):
        verify(remade(adversary, adversary.episode.meta, quick), HUBS)


def test_a_date_that_was_moved_apart_from_the_clock_that_measures_is_refused(adversary: Adversary) -> None:
    later_ns = int(adversary.episode.end.t_wall_ns) + 2 * SKEW_MS * 1_000_000
    bundle = remade(adversary, ended(adversary, t_wall_ns=str(later_ns)))

    with pytest.raises(refusals.TimeMismatch, match="two clocks disagree"):
        verify(bundle, at(STARTED_MS - 500, STARTED_MS + 2 * SKEW_MS))


def test_an_episode_of_1971_is_refused_though_its_wallet_granted_it(adversary: Adversary) -> None:
    at_ns = 35_000_000_000_000_000
    meta = with_meta("end", t_wall_ns=str(at_ns + 2_000_000_000))(adversary.episode.meta)
    meta = msgspec.structs.replace(meta, t_wall_ns=str(at_ns))
    times = adversary.episode.arrays["time/t_wall_ns"]

    assert refused_by(remade(adversary, meta, {"time/t_wall_ns": times - times[0] + at_ns})) is refusals.TimeMismatch


def as_version_1(adversary: Adversary) -> Bundle:
    """Return the same episode as an earlier release would have kept it, signed by everyone."""
    old = adversary.episode
    spec = msgspec.structs.replace(old.meta.spec, joint_resolution_rad=msgspec.UNSET)
    meta = msgspec.structs.replace(old.meta, version=1, spec=spec, driver=msgspec.UNSET)
    arrays = {column.path: old.arrays[column.path] for column in meta.columns}
    return remade(
        dataclasses.replace(adversary, bundle=with_parts(adversary.bundle, episode=stripped(old, meta, arrays))), meta
    )


def stripped(old: Episode, meta: Meta, arrays: dict[str, Any]) -> Episode:
    return dataclasses.replace(old, meta=meta, meta_bytes=meta.encode(), arrays=arrays)


def test_what_was_begun_under_format_2_is_not_taken_as_format_1_which_keeps_no_commands(adversary: Adversary) -> None:
    bundle = as_version_1(adversary)
    assert refused_by(bundle) is refusals.SpecMismatch

    described = {name: value for name, value in ASKED.described.items() if name != "joint_resolution_rad"}
    before = dataclasses.replace(ASKED, described=described)
    books = Books(dataclasses.replace(TICKET, asked=before), None, None, HUBS.books.received_ms)
    report = verify(bundle, dataclasses.replace(HUBS, books=books))
    assert {"commands", "safety"} == set(report.skipped)
    assert refused_by(adversary.bundle, dataclasses.replace(HUBS, books=books)) is refusals.SpecMismatch
