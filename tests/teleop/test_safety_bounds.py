"""The safety machines to the nanosecond: every move of the interlock, and the last moment at which something counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from teleop.safety import BLIND_NS, STALE_NS, WATCHDOG_NS, Drop, Gate, IllegalMoveError, Interlock, Sight
from teleop.wire.messages import Command, Mode, Safety

EPOCH = 5
NOW = 10**15
MS = 1_000_000
SENTENCE = "expected servo 3 below 65 degrees C, got 66; let the arm rest"
EXPIRED, ARMED, DRIVING, HOLDING = Safety.EXPIRED, Safety.ARMED, Safety.DRIVING, Safety.HOLDING
STOPPED, FAULTED = Safety.ESTOPPED, Safety.FAULTED

EVENTS: dict[str, Callable[[Interlock], object]] = {
    "pressed": lambda machine: machine.command(True, NOW),
    "released": lambda machine: machine.command(False, NOW),
    "silence": lambda machine: machine.tick(NOW + WATCHDOG_NS + 1),
    "the lease ends": lambda machine: machine.expire(),
    "somebody stops it": lambda machine: machine.estop("anyone"),
    "it breaks": lambda machine: machine.break_down(SENTENCE),
    "the owner clears it": lambda machine: machine.clear(),
}
WAYS: dict[Safety, tuple[str, ...]] = {
    EXPIRED: (),
    ARMED: ("released",),
    DRIVING: ("released", "pressed"),
    HOLDING: ("released", "pressed", "released"),
    STOPPED: ("released", "pressed", "somebody stops it"),
    FAULTED: ("released", "pressed", "it breaks"),
}
"""How each state is reached."""
MOVES: dict[Safety, tuple[Safety | None, ...]] = {
    #         pressed  released  silence  lease ends  stopped  broken   cleared
    EXPIRED: (EXPIRED, ARMED, EXPIRED, EXPIRED, STOPPED, FAULTED, None),
    ARMED: (DRIVING, ARMED, EXPIRED, EXPIRED, STOPPED, FAULTED, None),
    DRIVING: (DRIVING, HOLDING, EXPIRED, EXPIRED, STOPPED, FAULTED, None),
    HOLDING: (DRIVING, HOLDING, EXPIRED, EXPIRED, STOPPED, FAULTED, None),
    STOPPED: (STOPPED, STOPPED, STOPPED, STOPPED, STOPPED, STOPPED, EXPIRED),
    FAULTED: (FAULTED, FAULTED, FAULTED, FAULTED, STOPPED, FAULTED, EXPIRED),
}
"""What each event of `EVENTS` makes of each state; None: it is refused."""


def interlock(*events: str) -> Interlock:
    machine = Interlock()
    for event in events:
        EVENTS[event](machine)
    return machine


@pytest.mark.parametrize(("event", "place"), [(event, place) for place, event in enumerate(EVENTS)])
@pytest.mark.parametrize("state", MOVES, ids=lambda state: state.name.lower())
def test_every_event_moves_every_state_as_the_table_says(state: Safety, event: str, place: int) -> None:
    machine, expected = interlock(*WAYS[state]), MOVES[state][place]
    assert machine.state is state
    if expected is None:
        with pytest.raises(IllegalMoveError, match=f"got one that is {state.name.lower()}"):
            EVENTS[event](machine)
    else:
        EVENTS[event](machine)
    assert machine.state is (state if expected is None else expected)
    assert machine.latched == (machine.state in (STOPPED, FAULTED))


@pytest.mark.parametrize("latch", ["somebody stops it", "it breaks"])
def test_whatever_was_pressed_before_a_clear_a_release_must_come_after_it(latch: str) -> None:
    machine = interlock("released", "pressed", latch, "released", "pressed", "the owner clears it")
    assert machine.state is EXPIRED
    machine.command(True, NOW)
    assert machine.state is EXPIRED
    machine.command(False, NOW)
    machine.command(True, NOW)
    assert machine.state is DRIVING


def test_a_fault_is_kept_with_its_sentence_until_it_is_cleared_and_one_clear_ends_a_stop_and_a_fault() -> None:
    machine = interlock("it breaks")
    assert machine.fault == SENTENCE
    machine.estop("anyone")
    assert (machine.state, machine.fault) == (STOPPED, SENTENCE)
    machine.clear()
    assert (machine.state, machine.fault) == (EXPIRED, None)


@pytest.mark.parametrize("state", [ARMED, DRIVING, HOLDING], ids=lambda state: state.name.lower())
def test_a_command_counts_for_exactly_the_watchdogs_time(state: Safety) -> None:
    machine = interlock(*WAYS[state])
    assert machine.tick(NOW + WATCHDOG_NS) is state
    assert machine.tick(NOW + WATCHDOG_NS + 1) is EXPIRED


def test_a_press_that_comes_too_late_after_the_last_command_does_not_drive() -> None:
    late, in_time = interlock("released", "pressed"), interlock("released", "pressed")
    late.command(True, NOW + WATCHDOG_NS + 1)
    in_time.command(True, NOW + WATCHDOG_NS)
    assert (late.state, in_time.state) == (EXPIRED, DRIVING)


def say(gate: Gate, seq: int, sent_ns: int, arrived_ns: int, *, seen: int = 0, dead_man: bool = True) -> bool:
    command = Command(Mode.EE_TWIST, dead_man, EPOCH, seq, seen, sent_ns // 1000, np.zeros(7, np.float32), gate.digest)
    return gate.admit(command.encode(), arrived_ns) is not None


def test_a_command_is_stale_a_microsecond_after_the_bound_and_not_at_it() -> None:
    gate = Gate(EPOCH)
    assert say(gate, 1, NOW, NOW)
    assert say(gate, 2, NOW - STALE_NS, NOW)
    assert not say(gate, 3, NOW - STALE_NS - 1000, NOW)
    assert gate.dropped == {Drop.STALE: 1}


@pytest.mark.parametrize(("age_ns", "fresh"), [(BLIND_NS, True), (BLIND_NS + 1, False)])
def test_a_release_measures_delays_afresh_if_what_it_saw_is_recent_enough(age_ns: int, fresh: bool) -> None:
    gate, late = Gate(EPOCH), NOW + 60_000 * MS
    assert say(gate, 1, NOW, NOW)
    gate.sight.published(1, late - age_ns)
    assert say(gate, 2, NOW, late, seen=1, dead_man=False) is fresh


def test_whoever_has_something_to_see_is_blind_a_nanosecond_after_the_bound_and_not_at_it() -> None:
    sight = Sight()
    assert not sight.blind(NOW), "there was nothing to see"
    sight.published(1, NOW)
    sight.published(2, NOW + BLIND_NS)
    assert not sight.blind(NOW + BLIND_NS)
    assert sight.blind(NOW + BLIND_NS + 1)
    sight.pause(NOW + BLIND_NS)
    assert not sight.blind(NOW + 2 * BLIND_NS)
    assert sight.blind(NOW + 2 * BLIND_NS + 1), "a pause only starts the count again"


def test_whoever_has_seen_an_older_state_is_blind_to_the_newest_from_then_on() -> None:
    sight = Sight()
    sight.published(1, NOW)
    sight.published(2, NOW)
    sight.saw(1, NOW + 100 * MS)
    assert not sight.blind(NOW + 100 * MS + BLIND_NS)
    assert sight.blind(NOW + 100 * MS + BLIND_NS + 1)
    sight.saw(2, NOW + 2 * BLIND_NS)
    assert not sight.blind(NOW + 100 * BLIND_NS), "there is nothing more to see"


def test_a_pause_starts_no_count_for_whoever_has_seen_all() -> None:
    sight = Sight()
    sight.published(1, NOW)
    sight.saw(1, NOW)
    sight.pause(NOW)
    assert not sight.blind(NOW + 10 * BLIND_NS)


def test_the_age_of_a_state_is_known_for_the_newest_64() -> None:
    sight = Sight()
    for seq in range(1, 66):
        sight.published(seq, NOW + seq)
    assert sight.age_ns(1, NOW + 100) is None
    assert [sight.age_ns(seq, NOW + 100) for seq in (2, 65)] == [98, 35]
    assert sight.age_ns(66, NOW + 100) is None
