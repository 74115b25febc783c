"""Notes on their way through the hub: only while something is recorded, cleaned, not too many, not too often."""

from __future__ import annotations

import json

import pytest

from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.notes import NOTE_CHARACTERS_MAX, NOTES_MAX, cleaned
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import SignallingError
from tests.teleop.hub.bench import Bench, Operator
from tests.teleop.hub.test_returning import driving, state

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def refused(operator: Operator, text: str) -> str:
    with pytest.raises(SignallingError) as error:
        await operator.says(signalling.Note(text))
    return error.value.code


async def test_a_note_goes_to_the_host_and_its_answer_to_who_wrote_it(bench):
    operator, lease, host = await driving(bench)
    await operator.says(signalling.Note("the cube slipped"))
    assert host.said == [{"type": "note", "text": "the cube slipped"}]
    bench.hub.from_host(lease.dock, signalling.HostNoted("E1", 1))
    assert operator.ear.last("noted") == {"type": "noted", "episode": "E1", "notes": 1}


async def test_before_anything_is_recorded_there_is_nothing_to_note(bench):
    operator, _lease, host = await driving(bench, recording=False)
    assert await refused(operator, "too early") == "note"
    assert host.said == []


async def test_after_the_end_there_is_nothing_to_note(bench):
    operator, lease, _host = await driving(bench)
    bench.hub.from_host(lease.dock, signalling.Ended("E1", True, 7, True, True, EndReason.STEP_LIMIT))
    assert await refused(operator, "too late") == "note"


async def test_only_who_holds_the_robot_may_note(bench):
    _operator, _lease, host = await driving(bench)
    assert await refused(bench.operator(), "let me in") == "state"
    assert host.said == []


async def test_nobody_writes_faster_than_they_could_read(bench):
    operator, _lease, host = await driving(bench)
    await operator.says(signalling.Note("one"))
    assert await refused(operator, "two") == "note"
    bench.pass_s(1)
    await operator.says(signalling.Note("three"))
    assert [said["text"] for said in host.said] == ["one", "three"]


async def noting(bench: Bench, operator: Operator, count: int) -> None:
    for number in range(count):
        await operator.says(signalling.Note(f"note {number}"))
        bench.pass_s(1)


async def test_an_episode_has_a_hundred_notes_and_the_next_one_as_many(bench):
    operator, lease, host = await driving(bench)
    await noting(bench, operator, NOTES_MAX)
    assert await refused(operator, "one more") == "note"
    bench.hub.from_host(lease.dock, signalling.Ended("E1", True, 7, True, True, EndReason.STEP_LIMIT))
    await operator.says(signalling.Begin(PERSON))
    bench.hub.from_robot(lease.dock, state(1))
    await operator.says(signalling.Note("the first of the next"))
    assert host.last("note")["text"] == "the first of the next"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  two\twords\r\n ", "two words"),
        ("a\x1b[31mred\x07", "a [31mred"),
        ("abc\u202edcba", "abc dcba"),
        ("line\u2028line", "line line"),
        ("Würfel 滑った 👩‍🔧", "Würfel 滑った 👩‍🔧"),
        ("x" * NOTE_CHARACTERS_MAX, "x" * NOTE_CHARACTERS_MAX),
    ],
)
async def test_what_a_terminal_or_a_page_would_obey_is_left_out(bench, text, kept):
    operator, _lease, host = await driving(bench)
    await operator.says(signalling.Note(text))
    assert host.last("note")["text"] == kept == cleaned(kept)


async def test_a_note_without_words_is_refused(bench):
    operator, _lease, host = await driving(bench)
    assert await refused(operator, " \n\u202e") == "note"
    assert host.said == []


@pytest.mark.parametrize("text", ["", "x" * (NOTE_CHARACTERS_MAX + 1), 7, None, ["x"]])
def test_a_note_of_another_length_or_kind_is_malformed(text):
    with pytest.raises(SignallingError) as error:
        signalling.from_operator(json.dumps({"type": "note", "text": text}))
    assert error.value.code == "malformed"
