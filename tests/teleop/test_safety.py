"""The safety machines against arbitrary messages and clocks: nothing moves that should not, and it says why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from teleop.safety import STALE_NS, WATCHDOG_NS, Drop, Gate, IllegalMoveError, Interlock
from teleop.wire.delays import DELAY_RISE_PPM
from teleop.wire.messages import FIRST, Command, Mode, Safety, digest_of

EPOCH = 5
MS = 1_000_000


def command(seq: int, sent_ns: int, epoch: int = EPOCH, *, before: bytes = FIRST) -> bytes:
    return Command(Mode.EE_TWIST, True, epoch, seq, 0, sent_ns // 1000, np.zeros(7, np.float32), before).encode()


def admit(gate: Gate, seq: int, sent_ns: int, arrived_ns: int) -> bool:
    return gate.admit(command(seq, sent_ns, before=gate.digest), arrived_ns) is not None


class InterlockMachine(RuleBasedStateMachine):
    """A clock that only goes forward, commands at any time, e-stops and clears; checked against the promise itself."""

    def __init__(self) -> None:
        super().__init__()
        self.interlock = Interlock()
        self.now = 0
        self.last_command: int | None = None
        self.released_since_expiry = False
        self.stopped = False

    @rule(passed=st.integers(0, 2 * WATCHDOG_NS))
    def time_passes(self, passed: int) -> None:
        self.now += passed
        self.interlock.tick(self.now)

    @rule(dead_man=st.booleans())
    def a_command_arrives(self, dead_man: bool) -> None:
        if self.last_command is None or self.now - self.last_command > WATCHDOG_NS:
            self.released_since_expiry = False
        self.interlock.command(dead_man, self.now)
        self.last_command = self.now
        if not self.stopped:
            self.released_since_expiry |= not dead_man
        self.pressed = dead_man

    @rule()
    def someone_stops(self) -> None:
        self.interlock.estop("anyone")
        self.stopped, self.released_since_expiry = True, False

    @precondition(lambda self: self.stopped)
    @rule()
    def the_owner_clears(self) -> None:
        self.interlock.clear()
        self.stopped = False

    @precondition(lambda self: not self.stopped)
    @rule()
    def a_clear_without_a_stop_is_illegal(self) -> None:
        before = self.interlock.state
        with pytest.raises(IllegalMoveError, match="expected an e-stopped robot"):
            self.interlock.clear()
        assert self.interlock.state is before

    @rule()
    def the_lease_ends(self) -> None:
        self.interlock.expire()
        self.released_since_expiry = False

    @invariant()
    def it_drives_only_when_all_conditions_hold(self) -> None:
        driving = self.interlock.tick(self.now) is Safety.DRIVING
        fresh = self.last_command is not None and self.now - self.last_command <= WATCHDOG_NS
        allowed = fresh and not self.stopped and self.released_since_expiry
        assert not driving or (allowed and self.pressed)

    @invariant()
    def a_stop_stays(self) -> None:
        assert (self.interlock.state is Safety.ESTOPPED) == self.stopped


TestInterlock = InterlockMachine.TestCase
TestInterlock.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


class GateMachine(RuleBasedStateMachine):
    """An adversary and an honest sender at one gate. Only in-order, fresh commands of the epoch may pass."""

    @initialize(offset=st.integers(-(10**15), 10**15))
    def begin(self, offset: int) -> None:
        self.gate, self.offset = Gate(EPOCH), offset
        self.now, self.highest, self.last = 2 * 10**15, 0, FIRST
        self.fastest: float | None = None

    @rule(passed=st.integers(0, 400 * MS))
    def time_passes(self, passed: int) -> None:
        self.now += passed
        if self.fastest is not None:
            self.fastest += passed * DELAY_RISE_PPM / 1e6

    @rule(
        epoch=st.sampled_from([EPOCH, EPOCH - 1, EPOCH + 1, 0]),
        seq=st.integers(0, 40),
        delay=st.integers(0, 600 * MS),
        linked=st.booleans(),
    )
    def a_command_arrives(self, epoch: int, seq: int, delay: int, linked: bool) -> None:
        sent = self.now - delay + self.offset
        before = sum(self.gate.dropped.values())
        data = command(seq, sent, epoch, before=self.last if linked else b"another command before it, or so")
        passed = self.gate.admit(data, self.now)
        if epoch != EPOCH or seq <= self.highest or (seq == self.highest + 1 and not linked):
            assert passed is None
        else:
            self.highest, self.last = seq, digest_of(data)
            self.fastest = delay if self.fastest is None else min(self.fastest, delay)
            excess = delay - self.fastest
            if abs(excess - STALE_NS) > 2000:  # the wire counts whole microseconds
                assert (passed is None) == (excess > STALE_NS)
        assert sum(self.gate.dropped.values()) == before + (passed is None)

    @rule(data=st.binary(max_size=80))
    def noise_arrives(self, data: bytes) -> None:
        before = self.gate.dropped[Drop.MALFORMED]
        assert self.gate.admit(data, self.now) is None
        assert self.gate.dropped[Drop.MALFORMED] == before + 1


TestGate = GateMachine.TestCase
TestGate.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(offset_s=st.integers(-(10**6), 10**6))
def test_unsynchronised_clocks_make_nothing_stale(offset_s):
    gate = Gate(EPOCH)
    now = 10**16
    for seq in range(1, 20):
        now += 33 * MS
        assert admit(gate, seq, now + offset_s * 10**9, now + 5 * MS)


def test_a_lag_that_grows_slowly_is_stale_in_the_end():
    gate, start = Gate(EPOCH), 10**15
    lags_ms = [seq * 0.3 for seq in range(2000)]  # 10 ms a second, as where a queue on the way fills up
    passed = [
        admit(gate, seq, start + seq * 33 * MS, start + seq * 33 * MS + int(lag * MS))
        for seq, lag in enumerate(lags_ms, start=1)
    ]
    oldest = max(lag for lag, fresh in zip(lags_ms, passed, strict=True) if fresh)
    assert STALE_NS / MS <= oldest < 1.5 * STALE_NS / MS
    assert not any(passed[-100:])


def test_a_way_that_became_longer_for_good_is_accepted_in_time():
    gate, start = Gate(EPOCH), 10**15
    assert admit(gate, 1, start, start)
    waited_s = next(
        seq * 0.1
        for seq in range(2, 10_000)
        if admit(gate, seq, start + seq * 100 * MS, start + seq * 100 * MS + 2 * STALE_NS)
    )
    assert 60 < waited_s < 180


def test_a_burst_that_waited_in_a_queue_is_stale():
    gate, start = Gate(EPOCH), 10**15
    for seq in range(1, 10):
        sent = start + seq * 33 * MS
        assert admit(gate, seq, sent, sent + MS)
    stalled = start + 2_000 * MS
    late = [admit(gate, seq, start + seq * 33 * MS, stalled) for seq in range(10, 40)]
    assert late == [False] * 30
    assert gate.dropped == {Drop.STALE: 30}
