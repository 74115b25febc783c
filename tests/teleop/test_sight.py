"""Whoever sees nothing of the robot does not drive it; and what is seen says that a command is of now."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop.safety import BLIND_NS, STALE_NS, Drop, Gate, Sight
from teleop.wire.messages import Command, Mode, Safety
from tests.teleop.sessions import MS, Bench

FORWARD = [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
PERIODS = 11
"""Periods of a Panda in a little more than `BLIND_NS`."""
NOW = 10**15


class Blindfolded(Bench):
    """A bench whose operator says what a test wants of what it has seen."""

    said: int | None = None

    @property
    def seen(self) -> int:
        """What the next command says."""
        return super().seen if self.said is None else self.said


def driving() -> Blindfolded:
    bench = Blindfolded()
    bench.ready()
    bench.drive(Mode.EE_TWIST, FORWARD, 4)
    assert bench.states[-1].safety is Safety.DRIVING
    return bench


@pytest.mark.parametrize("said", [0, 1, "the last", 2**32 - 1], ids=str)
def test_driving_expires_where_nothing_new_is_seen(said):
    bench = driving()
    bench.said = bench.states[-1].seq if said == "the last" else said
    bench.drive(Mode.EE_TWIST, FORWARD, PERIODS - 3)
    assert bench.states[-1].safety is Safety.DRIVING, "for a moment it may go on"
    bench.drive(Mode.EE_TWIST, FORWARD, 4)
    assert bench.states[-1].safety is Safety.EXPIRED
    stood = len(bench.robot.sent)
    bench.drive(Mode.EE_TWIST, FORWARD, 20)
    assert np.ptp(bench.robot.sent[stood + 8 :], axis=0).max() < 1e-9
    bench.said = None
    bench.drive(Mode.EE_TWIST, FORWARD, 5)
    assert bench.states[-1].safety is Safety.EXPIRED, "sight alone does not arm it"
    bench.say()
    bench.tick()
    bench.drive(Mode.EE_TWIST, FORWARD, 2)
    assert bench.states[-1].safety is Safety.DRIVING


def test_a_blind_operator_who_lets_go_and_presses_again_does_not_drive():
    bench = driving()
    bench.said = bench.states[-1].seq
    bench.drive(Mode.EE_TWIST, FORWARD, PERIODS + 2)
    for _ in range(5):
        bench.say()
        bench.tick()
        bench.drive(Mode.EE_TWIST, FORWARD, 1)
        assert bench.states[-1].safety is Safety.EXPIRED


def test_whoever_sees_late_but_goes_on_seeing_drives_on():
    bench, behind = Blindfolded(), 14
    bench.ready()
    for period in range(60):
        bench.said = max(0, bench.states[-1].seq - behind)
        pressed = period > 20
        bench.say(Mode.EE_TWIST if pressed else Mode.NEUTRAL, FORWARD if pressed else (), dead_man=pressed)
        bench.tick()
        assert bench.states[-1].safety is (Safety.DRIVING if pressed else Safety.ARMED)


def test_a_robot_that_shows_nothing_for_a_while_blinds_nobody():
    """A reset takes its time, and no state goes out meanwhile."""
    bench = driving()
    reset, bench.said = bench.robot.reset, bench.states[-1].seq

    def slow(seed: int):
        bench.now_ns += 2 * BLIND_NS
        return reset(seed)

    bench.robot.reset = slow
    bench.drive(Mode.EE_TWIST, FORWARD, 2)
    bench.begin()
    while bench.reports[-1].__class__.__name__ != "Ready":
        bench.say()
        bench.tick()
    bench.drive(Mode.EE_TWIST, FORWARD, 2)
    assert bench.states[-1].safety is Safety.EXPIRED
    bench.say()
    bench.tick()
    bench.drive(Mode.EE_TWIST, FORWARD, 1)
    assert bench.states[-1].safety is Safety.DRIVING


@given(st.lists(st.tuples(st.sampled_from(["state", "saw", "time"]), st.integers(0, 400)), max_size=60))
def test_it_is_blind_exactly_if_nothing_new_was_seen_for_too_long(moves):
    sight, now, published, seen, since = Sight(), NOW, 0, 0, None
    for kind, size in moves:
        if kind == "time":
            now += size * MS
        elif kind == "state":
            published += 1
            sight.published(published, now)
            since = now if since is None else since
        else:
            said = size % (published + 3)  # also numbers that were never published
            sight.saw(said, now)
            if seen < said <= published:
                seen, since = said, None if said == published else now
        assert sight.blind(now) == (since is not None and now - since > BLIND_NS)


# --- a clock that stops for a while


def say(gate: Gate, seq: int, sent_ns: int, seen: int, arrived_ns: int, *, dead_man: bool) -> bool:
    values = np.zeros(7, np.float32)
    command = Command(Mode.EE_TWIST, dead_man, 5, seq, seen, sent_ns // 1000, values)
    return gate.admit(command.encode(), arrived_ns) is not None


def used() -> Gate:
    """Return a gate that a sender without delay has used."""
    gate = Gate(5)
    for seq in range(1, 20):
        gate.sight.published(seq, NOW - (20 - seq) * 50 * MS)
    assert say(gate, 1, NOW, 19, NOW, dead_man=False)
    return gate


@pytest.mark.parametrize("pause_s", [1, 5, 3600])
def test_a_clock_that_paused_locks_nobody_out(pause_s):
    gate, pause_ns = used(), pause_s * 10**9
    woken = NOW + pause_ns + 100 * MS
    gate.sight.published(20, woken)
    arrived = woken + 60 * MS
    assert not say(gate, 2, arrived - pause_ns, 20, arrived, dead_man=True), "pressed all the while, it proves nothing"
    assert say(gate, 3, arrived - pause_ns, 20, arrived, dead_man=False)
    assert say(gate, 4, arrived + 30 * MS - pause_ns, 20, arrived + 30 * MS, dead_man=True)
    assert gate.dropped == {Drop.STALE: 1}


def test_a_released_command_that_waited_on_the_way_lets_no_driving_one_pass():
    """All that a network held back for five seconds: the release among it is as old as the rest."""
    gate = used()
    arrived = NOW + 5_000 * MS
    for seq in range(20, 100):
        gate.sight.published(seq, NOW + (seq - 19) * 50 * MS)
    for seq in range(2, 40):
        sent = NOW + seq * 33 * MS
        seen = 19 + (sent - NOW) // (50 * MS)
        assert not say(gate, seq, sent, seen, arrived, dead_man=seq % 3 != 0)
    assert gate.dropped == {Drop.STALE: 38}


def test_whoever_guesses_what_it_has_not_seen_gains_nothing():
    gate = used()
    arrived = NOW + 5_000 * MS
    gate.sight.published(20, arrived)
    for seq, guess in enumerate([0, 19, 21, 2**32 - 1], start=2):
        assert not say(gate, seq, NOW, guess, arrived, dead_man=False)


def test_after_a_pause_a_command_that_is_late_again_is_stale():
    gate, pause_ns = used(), 5 * 10**9
    gate.sight.published(20, NOW + pause_ns)
    assert say(gate, 2, NOW, 20, NOW + pause_ns, dead_man=False)
    late = NOW + pause_ns + STALE_NS + 100 * MS
    assert not say(gate, 3, NOW + 50 * MS, 20, late, dead_man=True)
