"""Everything at once, by Hypothesis: whatever comes, in whatever order and whenever, the motion keeps its limits.

The machine keeps its own, simple account of who may move the robot, and never asks the code under test.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sim.motion.kinematics import Hands
from teleop.safety import STALE_NS
from teleop.wire import signalling
from teleop.wire.messages import Mode
from teleop.wire.reasons import EndReason
from tests.teleop.sessions import MS, PANDA, Bench

PROMISED_NS = 150 * MS
"""The watchdog's time, as PROTOCOL.md promises it."""
INBOX = 64
BRAKING = 6
"""Periods in which a Panda brakes from any speed."""
WORKSPACE_M = 0.005 + 1e-7
"""How far beyond its workspace a hand may be, and what rounding adds."""
HANDS = Hands(PANDA)
END = PANDA.end_effectors[0]

WILD = st.floats(width=32, allow_nan=False, allow_infinity=False)
SPEEDS = st.one_of(st.sampled_from([0.0, 0.25, -0.25, 0.6, -0.6]), WILD)
ANGLES = st.one_of(st.floats(-1.5, 1.5, width=32), WILD)


def fitting(mode: Mode):
    """Values of the right number for a Panda."""
    if mode is Mode.EE_TWIST:
        return st.lists(SPEEDS, min_size=7, max_size=7)
    if mode is Mode.EE_POSE:
        return st.lists(st.one_of(st.floats(-1, 1, width=32), WILD), min_size=8, max_size=8)
    joints = st.lists(ANGLES, min_size=7, max_size=7)
    return joints.map(lambda offsets: [*np.clip(PANDA.home_rad + offsets, -1e38, 1e38).tolist(), 0.5])


ASKED = st.sampled_from([Mode.EE_TWIST, Mode.EE_TWIST, Mode.EE_POSE, Mode.JOINT_POSITION]).flatmap(
    lambda mode: st.tuples(st.just(mode), st.one_of(fitting(mode), fitting(mode), st.lists(WILD, max_size=64)))
)
KINDS = st.sampled_from(
    ["good", "good", "good", "released", "old_epoch", "replayed", "stale", "not_finite", "cut", "noise"]
)
CONTINUED = ("released", "old_epoch", "replayed", "stale", "not_finite", "noise")
ENDS = st.sampled_from(["silence", "finish", "lease ends", "next lease", "stop", "stall", *CONTINUED])
"""How a drive ends; the last are kinds of commands that go on."""


@dataclass(frozen=True)
class Sent:
    """What the machine knows of a command on its way: whether it counts, and when it came."""

    kind: str
    arrived_ns: int


class Motion(RuleBasedStateMachine):
    """An operator, an adversary, a hub and a clock, all at one session."""

    @initialize(simulated=st.booleans(), follows=st.sampled_from([1.0, 1.0, 0.5, 0.0]))
    def begin_all(self, simulated: bool, follows: float) -> None:
        self.bench = Bench(simulated=simulated, follows=follows)
        self.stood = PANDA.home_rad.copy()
        self.path = [self.stood] * 4
        self.inbox: deque[Sent] = deque()
        self.leased = self.open = self.stopped = False
        self.armed = self.pressed = False
        self.numbered = self.timed = False
        self.fresh_ns = self.drops = self.heard = 0
        self.quiet = BRAKING
        self.measured: list[np.ndarray] = []

    # --- the hub

    @rule()
    def a_lease_begins(self) -> None:
        self.bench.lease()
        self.inbox.clear()
        self.leased, self.armed, self.drops = True, False, 0
        self.numbered = self.timed = False

    @precondition(lambda self: self.leased)
    @rule(reason=st.sampled_from([EndReason.LEFT, EndReason.OPERATOR_LOST, EndReason.HOST_LOST]))
    def the_lease_ends(self, reason: EndReason) -> None:
        self.bench.session.obey(signalling.Revoke(self.bench.epoch, reason))
        self.inbox.clear()
        self.leased = self.armed = False

    @rule()
    def an_old_lease_ends_again(self) -> None:
        self.bench.session.obey(signalling.Revoke(self.bench.epoch + 7, EndReason.LEFT))

    @rule()
    def an_episode_is_asked_for(self) -> None:
        self.bench.begin()

    @rule()
    def the_operator_is_ready(self) -> None:
        """Take the short way to driving, which chance would find too seldom."""
        self.a_lease_begins()
        self.bench.begin()
        self.stream("released", (Mode.NEUTRAL, []), 1)

    @rule(asked=ASKED, periods=st.integers(1, 12), end=ENDS)
    def the_operator_drives(self, asked, periods: int, end: str) -> None:
        self.the_owner_clears()
        self.the_operator_is_ready()
        self.stream("good", asked, periods)
        order = {
            "silence": lambda: None,
            "finish": self.an_episode_is_finished,
            "lease ends": lambda: self.the_lease_ends(EndReason.OPERATOR_LOST),
            "next lease": self.a_lease_begins,
            "stop": self.someone_stops,
            "stall": self.the_loop_stalls,
        }.get(end)
        if order is None:
            self.stream(end, asked, BRAKING + 3)
            return
        order()
        if end == "next lease":
            self.bench.begin()
        if end in ("silence", "finish", "lease ends"):
            self.time_passes(BRAKING + 5)
        else:
            self.stream("good", asked, BRAKING + 3)

    @rule()
    def an_episode_is_finished(self) -> None:
        self.bench.session.obey(signalling.FinishOrder(EndReason.FINISHED))

    @rule()
    def someone_stops(self) -> None:
        self.bench.session.obey(signalling.EstopOrder("anyone"))
        self.stopped, self.armed = True, False

    @rule()
    def the_owner_clears(self) -> None:
        self.bench.clear()
        if self.stopped:
            self.stopped = self.armed = False

    # --- time

    @rule(periods=st.integers(1, 14))
    def time_passes(self, periods: int) -> None:
        for _ in range(periods):
            self.tick()

    @rule(gap_ns=st.integers(0, 400 * MS))
    def a_tick_is_late(self, gap_ns: int) -> None:
        self.bench.now_ns += gap_ns
        self.tick()

    @rule()
    def the_loop_stalls(self) -> None:
        self.bench.now_ns += 2_000 * MS
        self.bench.session.stalled()
        self.armed = False
        if not self.bench.robot.spec.simulated:
            self.stopped = True
            self.path += [self.path[-1]] * 3  # it has come to rest meanwhile

    # --- whoever sends

    @rule(kind=KINDS, asked=ASKED, periods=st.integers(1, 8))
    def commands_stream_in(self, kind: str, asked, periods: int) -> None:
        self.stream(kind, asked, periods)

    @rule(kind=KINDS, asked=ASKED, count=st.integers(1, 90))
    def a_burst_comes_in(self, kind: str, asked, count: int) -> None:
        for _ in range(count):
            self.send(kind, asked)

    def stream(self, kind: str, asked, periods: int) -> None:
        for _ in range(periods):
            self.send(kind, asked)
            self.tick()

    def send(self, kind: str, asked) -> None:
        bench = self.bench
        data = self.made(kind, *asked)
        bench.session.offer(data)
        if not self.leased:
            self.drops += 1
            return
        if len(self.inbox) == INBOX:
            self.inbox.popleft()
            self.drops += 1
        self.inbox.append(Sent(kind, bench.now_ns))

    def made(self, kind: str, mode: Mode, values) -> bytes:
        bench, pressed = self.bench, kind != "released"
        if kind == "noise":
            return bytes(values.__repr__(), "utf-8")[:40]
        if kind == "not_finite":
            return bench.bytes_of(mode, [*values[1:], np.nan], dead_man=pressed)
        if kind == "cut":
            return bench.bytes_of(mode, values, dead_man=pressed)[:-1]
        if kind == "replayed":
            bench.seq = max(bench.seq, 1)
            return bench.bytes_of(mode, values, dead_man=pressed, seq=1)
        if kind == "old_epoch":
            bench.epoch -= 1
            data = bench.bytes_of(mode, values, dead_man=pressed)
            bench.epoch += 1
            return data
        return bench.bytes_of(mode, values, dead_man=pressed, delay_ns=2 * STALE_NS if kind == "stale" else 0)

    # --- the account

    def tick(self) -> None:
        bench = self.bench
        before, self.stood = len(bench.robot.sent), bench.robot.joints.copy()
        self.hear()
        bench.tick()
        self.account()
        self.hear()
        self.path.append(bench.robot.sent[-1] if len(bench.robot.sent) > before else self.path[-1])
        self.quiet = 0 if self.allowed() else self.quiet + 1
        self.measured = [*(self.measured if self.quiet else []), self.bench.robot.joints.copy()]
        self.keeps_the_limits()
        self.moves_only_when_allowed()

    def hear(self) -> None:
        """Take note of what the session reports; an episode begins at rest, a simulated one at home."""
        for report in self.bench.reports[self.heard :]:
            if isinstance(report, signalling.Ready):
                self.open = True
                self.path += [PANDA.home_rad if self.bench.robot.spec.simulated else self.stood] * 4
            elif isinstance(report, signalling.Ended):
                self.open = False
        self.heard = len(self.bench.reports)

    def account(self) -> None:
        """Read what has come as PROTOCOL.md says it is read."""
        while self.inbox:
            sent = self.inbox.popleft()
            if not self.counts(sent.kind):
                self.drops += 1
                continue
            if sent.arrived_ns - self.fresh_ns > PROMISED_NS:
                self.armed = False
            if not self.stopped:
                self.fresh_ns = sent.arrived_ns
                self.armed = self.armed or sent.kind == "released"
                self.pressed = sent.kind != "released"
        if self.bench.now_ns - self.fresh_ns > PROMISED_NS:
            self.armed = False

    def counts(self, kind: str) -> bool:
        """Whether a command is well-formed, of the lease, in order and fresh."""
        if kind not in ("good", "released", "stale", "replayed") or (kind == "replayed" and self.numbered):
            return False
        late = kind == "stale" and self.timed  # the first of a lease is as fast as any so far
        self.numbered, self.timed = True, self.timed or kind != "stale"
        return not late

    def allowed(self) -> bool:
        return self.leased and self.open and self.armed and self.pressed and not self.stopped

    def keeps_the_limits(self) -> None:
        spec, period_s = PANDA, PANDA.period_s
        path = np.array(self.path[-4:])
        target = path[-1]
        assert (target >= spec.joint_lower_rad).all()
        assert (target <= spec.joint_upper_rad).all()
        moved = np.abs(np.diff(path, axis=0))
        assert (moved <= spec.joint_velocity_max_rad_s * period_s * (1 + 1e-9)).all(), "too fast"
        if self.bench.robot.follows == 1.0:  # what a blocked arm's target may lead by takes its speed at once
            changed = np.abs(np.diff(path, 2, axis=0))
            assert (changed <= spec.joint_acceleration_max_rad_s2 * period_s**2 * (1 + 1e-6)).all(), "too hard"
            jerked = np.abs(np.diff(path, 3, axis=0))
            assert (jerked <= spec.joint_jerk_max_rad_s3 * period_s**3 * (1 + 1e-6)).all(), "too abruptly"
        hand = HANDS.poses(target)[0, :3]
        assert (hand >= END.workspace_lower_m - WORKSPACE_M).all(), f"the hand is at {hand}"
        assert (hand <= END.workspace_upper_m + WORKSPACE_M).all(), f"the hand is at {hand}"

    def moves_only_when_allowed(self) -> None:
        before, now = (np.abs(self.path[at] - self.path[at - 1]) for at in (-2, -1))
        if self.quiet > BRAKING:
            still = now.max() < 1e-8
            assert still or self.gives_way(), "nobody may move it, and it has had the time to stop"
        elif self.quiet > 2:
            slower = (now <= before + 1e-8).all()
            assert slower or self.gives_way(), "nobody may move it, and it does not slow down"

    def gives_way(self) -> bool:
        """Whether the target goes back to where a joint that lags was seen, so that the arm presses on nothing."""
        if self.bench.robot.follows == 1.0:
            return False
        before, now = self.path[-2:]
        return any((np.abs(now - seen) <= np.abs(before - seen) + 1e-8).all() for seen in self.measured)

    @invariant()
    def each_bad_command_is_one_drop(self) -> None:
        if not self.inbox:
            assert sum(self.bench.session.dropped.values()) == self.drops


TestMotion = Motion.TestCase
TestMotion.settings = settings(max_examples=400, stateful_step_count=20, deadline=None)
