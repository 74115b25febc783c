"""Nobody but the operator can have sent what an episode says was commanded, and the robot drove only by that."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.file.commands import heads
from recorder.file.episode import Episode, require_cut
from recorder.proof import refusals
from recorder.proof.bundle import Bundle
from recorder.proof.checks import commands as proof
from recorder.proof.refusals import GateError
from recorder.proof.verify import verify
from teleop.safety import WATCHDOG_NS, Interlock
from teleop.steps import Step
from teleop.wire.messages import Command, Mode, Safety, WireError, digest_of
from tests.recorder.bundles import TRUST, Adversary, good_bundle
from tests.recorder.driving import GOOD, drive
from tests.recorder.factory import fake_episode
from tests.recorder.lies import CHANGED, EXPIRED, RECORDED, SAID, put, rows
from tests.recorder.proof.test_verify import remade


@pytest.fixture(scope="module")
def adversary(tmp_path_factory: pytest.TempPathFactory) -> Adversary:
    return Adversary.of(good_bundle(tmp_path_factory.mktemp("bundle"), made=drive()))


def arrays_of(adversary: Adversary) -> dict[str, Any]:
    return {path: array.copy() for path, array in adversary.episode.arrays.items()}


def refusal(bundle: Bundle) -> GateError:
    with pytest.raises(GateError) as refused:
        verify(bundle, TRUST)
    return refused.value


def recorded(folder: Path, scripts: Any, safety: Any) -> Bundle:
    return Adversary.of(good_bundle(folder, made=drive(scripts, safety))).bundle


def test_a_good_drive_passes_both_gates(adversary: Adversary) -> None:
    report = verify(adversary.bundle, TRUST)

    assert {"commands", "safety"} <= set(report.passed)
    states = set(adversary.episode.arrays["safety"].tolist())
    assert states == {Safety.EXPIRED, Safety.ARMED, Safety.DRIVING, Safety.HOLDING}


def test_the_manifest_names_each_command_whose_hash_no_other_holds(adversary: Adversary) -> None:
    said = [Command.decode(row.data) for row in adversary.episode.commands()]
    held = {one.before for one in said}
    digests = [(one.epoch, one.seq, digest_of(one.encode())) for one in said]
    expected = [(epoch, seq, digest.hex()) for epoch, seq, digest in digests if digest not in held]

    assert [epoch for epoch, _, _ in expected] == [1, 2, 2], "the last of each epoch, and the one before the gap"
    assert [msgspec.structs.astuple(one) for one in adversary.manifest.commands] == expected


@pytest.mark.parametrize("what", [name for name, (_, error) in CHANGED.items() if "Structure" not in error.__name__])
def test_what_was_changed_afterwards_is_refused_though_everyone_signed_it(adversary: Adversary, what: str) -> None:
    change, expected = CHANGED[what]
    arrays = arrays_of(adversary)
    change(arrays)

    assert type(refusal(remade(adversary, adversary.episode.meta, arrays))) is expected


@pytest.mark.parametrize("what", RECORDED)
def test_a_robot_that_was_driven_otherwise_than_its_commands_allow_is_refused(tmp_path: Path, what: str) -> None:
    assert type(refusal(recorded(tmp_path, *RECORDED[what]))) is refusals.SafetyMismatch


@pytest.mark.parametrize("what", EXPIRED)
def test_a_robot_may_expire_at_any_time(tmp_path: Path, what: str) -> None:
    assert "safety" in verify(recorded(tmp_path, *EXPIRED[what]), TRUST).passed


@pytest.mark.parametrize("what", SAID)
def test_a_manifest_that_says_otherwise_of_the_commands_is_refused(adversary: Adversary, what: str) -> None:
    change, expected = SAID[what]

    assert type(refusal(adversary.say(**change(adversary.manifest)))) is expected


def test_a_command_that_was_lost_is_a_gap_and_breaks_nothing(adversary: Adversary) -> None:
    """Without renumbering: the host can drive less than its operator asked, and nothing else."""
    arrays, row = arrays_of(adversary), 0
    for name in ("t_arrived_mono_ns", "step", "admitted"):
        arrays[f"commands/{name}"] = np.delete(arrays[f"commands/{name}"], row)
    put(arrays, rows(arrays)[1:])

    verify(remade(adversary, adversary.episode.meta, arrays), TRUST)


def test_an_episode_in_which_nobody_ever_commanded_anything_is_not_driven(tmp_path: Path) -> None:
    nothing = ("", "", "")
    start, steps, end = drive(nothing, 3 * [Safety.EXPIRED])
    without = [dataclasses.replace(step, commanded=None) for step in steps]
    verify(Adversary.of(good_bundle(tmp_path / "expired", made=(start, without, end))).bundle, TRUST)

    driven = [dataclasses.replace(step, safety=Safety.DRIVING) for step in without]
    bundle = Adversary.of(good_bundle(tmp_path / "driven", made=(start, driven, end))).bundle
    assert type(refusal(bundle)) is refusals.SafetyMismatch


def test_the_first_command_of_an_epoch_arms_nothing_though_the_recording_begins_with_it(tmp_path: Path) -> None:
    start, steps, end = drive(("|p", "p"), (Safety.DRIVING, Safety.DRIVING))

    bundle = Adversary.of(good_bundle(tmp_path, made=(start, steps, end))).bundle
    assert type(refusal(bundle)) is refusals.SafetyMismatch


def test_a_refusal_says_which_command_or_step_and_what_was_wrong(adversary: Adversary, tmp_path: Path) -> None:
    for what, words in {
        "a changed byte": "command 1: expected the hash",
        "another protocol": "command 0: expected protocol 2, got 1",
        "one moved to an earlier step": "command 2: step 0 took it, and it came",
        "another value commanded": "step 3: /commanded/values[1] is 0.5, its newest command says 0.25",
    }.items():
        arrays = arrays_of(adversary)
        CHANGED[what][0](arrays)
        assert str(refusal(remade(adversary, adversary.episode.meta, arrays))).startswith(words)
    said = str(refusal(recorded(tmp_path, *RECORDED["driven after a silence"])))
    assert said == "step 7: expected a robot that is expired, by the commands as they came, got driving"


def changed_command(episode: Episode, row: int, data: bytes) -> Episode:
    arrays = {path: array.copy() for path, array in episode.arrays.items()}
    found = rows(arrays)
    found[row] = data
    put(arrays, found)
    return dataclasses.replace(episode, arrays=arrays)


@settings(max_examples=300, deadline=None)
@given(draw=st.data())
def test_what_decodes_is_whole_and_nothing_else(adversary: Adversary, draw: st.DataObject) -> None:
    """The check of all headers at once says what `Command.decode` says of each."""
    row = draw.draw(st.integers(0, len(GOOD) - 1))
    data = bytearray(rows(dict(adversary.episode.arrays))[row])
    for _ in range(draw.draw(st.integers(1, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    data += draw.draw(st.binary(max_size=8))
    episode = changed_command(adversary.episode, row, bytes(data))
    require_cut(episode.arrays)

    expected, found = undecodable(bytes(data)), proof.problem(episode)
    if expected is None:
        assert found is None or "expected one after" in found or "hash" in found or "/commanded" in found
    else:
        assert found == f"command {row}: {expected}"


def undecodable(data: bytes) -> str | None:
    try:
        Command.decode(data)
    except WireError as error:
        return str(error)
    return None


@settings(max_examples=300, deadline=None)
@given(draw=st.data())
def test_every_changed_byte_of_a_command_that_has_another_after_it_is_found(
    adversary: Adversary, draw: st.DataObject
) -> None:
    """The last of an epoch is bound by the manifest; the one before a gap by the one that was lost."""
    bound = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]
    row = draw.draw(st.sampled_from(bound))
    data = bytearray(rows(dict(adversary.episode.arrays))[row])
    data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))

    assert proof.problem(changed_command(adversary.episode, row, bytes(data))) is not None


def kept(episode: Episode, steps: list[Step], states: list[int]) -> Episode:
    """Return what an episode of these steps, with other states of safety, would keep of its commands."""
    taken = [(step.index, one) for step in steps for one in step.commands]
    arrays = {
        "safety": np.array(states, np.uint8),
        "time/t_began_mono_ns": np.array([step.t_began_ns for step in steps]),
        "commands/t_arrived_mono_ns": np.array([one.arrived_ns for _, one in taken], np.int64),
        "commands/step": np.array([step for step, _ in taken], np.uint32),
        "commands/admitted": np.array([one.admitted for _, one in taken], np.uint8),
    }
    put(arrays, [one.data for _, one in taken])
    end = msgspec.structs.replace(episode.end, steps=len(states))
    return dataclasses.replace(episode, arrays=arrays, end=end)


SCRIPT = st.sampled_from(["", "", "p", "p", "r", "pr", "rp", "s", "|r", "|rp", "|p"])
SCRIPTS = st.lists(SCRIPT, min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(scripts=SCRIPTS, draw=st.data())
def test_whatever_the_machine_beside_a_robot_does_is_allowed(
    adversary: Adversary, scripts: list[str], draw: st.DataObject
) -> None:
    """It may be expired by another thread before the commands of a step, and by blindness after them."""
    _, steps, _ = drive(scripts, [Safety.EXPIRED] * len(scripts))
    machine, states, epoch = Interlock(), [], 1
    machine.command(False, steps[0].t_began_ns - 20_000_000)
    for step in steps:
        if draw.draw(st.integers(0, 9)) == 0:
            machine.expire()
        for one in step.commands:
            said = Command.decode(one.data)
            if said.epoch != epoch:
                machine.expire()
                epoch = said.epoch
            if one.admitted:
                machine.command(said.dead_man, one.arrived_ns)
        machine.tick(step.t_began_ns)
        if draw.draw(st.integers(0, 9)) == 0:
            machine.expire()
        states.append(int(machine.state))

    assert proof.unsafe(kept(adversary.episode, steps, states)) is None


@settings(max_examples=150, deadline=None)
@given(scripts=SCRIPTS, random=st.randoms(use_true_random=False))
def test_no_step_is_driven_without_a_fresh_press_after_a_release(
    adversary: Adversary, scripts: list[str], random: Random
) -> None:
    """Whatever a host says: if it is allowed, each driven step has what a person must have done for it."""
    _, steps, _ = drive(scripts, [Safety.EXPIRED] * len(scripts))
    states: list[Safety] = []
    for step in steps:
        for state in random.sample(list(Safety), len(Safety)):
            if proof.unsafe(kept(adversary.episode, steps[: step.index + 1], [*states, state])) is None:
                states.append(state)
                break
    assert len(states) == len(steps)
    counted = [(step.index, Command.decode(c.data), c) for step in steps for c in step.commands if c.admitted]
    for step, state in zip(steps, states, strict=True):
        if state is Safety.DRIVING:
            before = [(said, one) for index, said, one in counted if index <= step.index]
            newest, one = before[-1]
            assert newest.dead_man
            assert step.t_began_ns - one.arrived_ns <= WATCHDOG_NS
            released = [said for said, _ in before if said.epoch == newest.epoch and not said.dead_man]
            assert newest.epoch == 1 or released, "in the first epoch, it was armed before the first step"
            if step.index and states[step.index - 1] is Safety.EXPIRED:
                assert any(index == step.index and not said.dead_man for index, said, _ in counted)


def test_the_headers_are_those_of_every_command(adversary: Adversary) -> None:
    found = heads(adversary.episode.arrays)
    for head, row in zip(found, adversary.episode.commands(), strict=True):
        said = Command.decode(row.data)
        assert (head["epoch"], head["seq"], head["seen"], head["t_client_us"]) == (
            said.epoch,
            said.seq,
            said.seen,
            said.t_client_us,
        )
        assert (Mode(head["mode"]), head["count"], head["before"].tobytes()) == (said.mode, 3, said.before)


def test_a_command_with_more_values_than_are_kept_is_compared_in_what_is_kept(tmp_path: Path) -> None:
    start, steps, end = fake_episode(4)
    long = np.arange(30, dtype=np.float32)
    said = dataclasses.replace(steps[-1].commanded, values=long)
    last = dataclasses.replace(steps[-1].commands[-1], data=said.encode())
    steps[-1] = dataclasses.replace(steps[-1], commanded=said, commands=(*steps[-1].commands[:-1], last))
    adversary = Adversary.of(good_bundle(tmp_path, made=(start, steps, end)))
    verify(adversary.bundle, TRUST)

    arrays = arrays_of(adversary)
    arrays["commanded/values"][-1, 7] = 8.0
    assert type(refusal(remade(adversary, adversary.episode.meta, arrays))) is refusals.CommandsMismatch
