"""What is said while driving is kept with the episode at its moment, by the host, which believes no hub."""

from __future__ import annotations

import numpy as np
import pytest

from teleop.steps import EpisodeEnd, EpisodeStart, Note
from teleop.wire import signalling
from teleop.wire.driver import Driver, DriverKind
from teleop.wire.messages import Mode
from teleop.wire.notes import NOTE_CHARACTERS_MAX, NOTES_MAX
from teleop.wire.reasons import EndReason
from tests.teleop.sessions import Bench

STILL = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.lease()
    made.begin()
    made.tick()
    return made


def drive(bench: Bench) -> None:
    """Arm, and drive for a while."""
    bench.say()
    bench.tick()
    bench.drive(Mode.EE_TWIST, STILL, 3)


def note(bench: Bench, text: str) -> None:
    bench.session.obey(signalling.NoteOrder(text))


def noted(bench: Bench) -> list[int]:
    """How many notes the host said that the episode has, each time that it said so."""
    return [said.notes for said in bench.reports if isinstance(said, signalling.HostNoted)]


def ended(bench: Bench) -> EpisodeEnd:
    """End the episode; return its end."""
    bench.session.obey(signalling.FinishOrder(EndReason.FINISHED))
    events = [bench.events.get_nowait() for _ in range(bench.events.qsize())]
    return next(event for event in reversed(events) if isinstance(event, EpisodeEnd))


def test_a_note_is_kept_at_the_moment_at_which_it_comes(bench):
    drive(bench)
    said_ns = []
    for text in ("the cube slipped", "again"):
        bench.tick(5)
        said_ns.append(bench.now_ns)
        note(bench, text)
    bench.tick(5)
    assert noted(bench) == [1, 2]
    assert [(one.t_mono_ns, one.text) for one in ended(bench).notes] == list(
        zip(said_ns, ("the cube slipped", "again"), strict=True)
    )


def test_a_note_before_the_first_driven_step_is_dropped_and_nobody_is_told_that_it_is_kept(bench):
    note(bench, "too early")
    drive(bench)
    assert (noted(bench), ended(bench).notes) == ([], ())


def test_a_note_after_the_end_is_not_the_next_episodes(bench):
    drive(bench)
    ended(bench)
    note(bench, "too late")
    bench.begin()
    bench.tick(30)
    drive(bench)
    assert (noted(bench), ended(bench).notes) == ([], ())


def test_each_episode_has_its_own_notes(bench):
    drive(bench)
    note(bench, "of the first")
    assert len(ended(bench).notes) == 1
    bench.begin()
    bench.tick(30)
    drive(bench)
    note(bench, "of the second")
    assert [one.text for one in ended(bench).notes] == ["of the second"]


def test_no_hub_makes_an_episode_hold_more_than_a_hundred_notes(bench):
    drive(bench)
    for number in range(NOTES_MAX + 20):
        note(bench, f"note {number}")
    assert noted(bench)[-1] == NOTES_MAX == len(ended(bench).notes)


def test_a_hub_that_cleans_nothing_is_cleaned_up_after(bench):
    drive(bench)
    for text in ("a\x1b[31mred\x07", "\u202e", "\n", "x" * NOTE_CHARACTERS_MAX):
        note(bench, text)
    assert [one.text for one in ended(bench).notes] == ["a [31mred", "x" * NOTE_CHARACTERS_MAX]


def test_notes_outlast_a_lost_connection(bench):
    drive(bench)
    note(bench, "before")
    bench.session.obey(signalling.PauseOrder(bench.epoch))
    bench.tick(3)
    bench.epoch, bench.seq = bench.epoch + 1, 0
    bench.session.obey(signalling.ResumeOrder("L", bench.epoch))
    note(bench, "after")
    assert [one.text for one in ended(bench).notes] == ["before", "after"]


def test_an_episode_says_who_or_what_the_hub_was_told_of():
    bench, policy = Bench(), Driver(DriverKind.POLICY, "my_policy:act", "5" * 64)
    bench.lease()
    bench.session.obey(signalling.BeginOrder("E", 1, "0x01", policy))
    bench.tick()
    drive(bench)
    start = bench.events.get_nowait()
    assert isinstance(start, EpisodeStart)
    assert start.driver == policy


def test_a_note_goes_to_the_recorder_as_it_comes_not_only_at_the_end(bench):
    drive(bench)
    note(bench, "the cube slipped")
    bench.tick()
    events = [bench.events.get_nowait() for _ in range(bench.events.qsize())]
    (at,) = (at for at, event in enumerate(events) if isinstance(event, Note))
    assert 0 < at < len(events) - 1, "between two steps"
    assert events[at].text == "the cube slipped"
