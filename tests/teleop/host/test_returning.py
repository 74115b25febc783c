"""An operator whose connection was lost comes back to a robot at rest: what the old connection sent moves nothing."""

from __future__ import annotations

import pytest

from teleop.safety import WATCHDOG_NS
from teleop.steps import EpisodeEnd, EpisodeStart, Step
from teleop.wire import signalling
from teleop.wire.messages import Mode, Safety
from teleop.wire.reasons import EndReason
from tests.teleop.sessions import Bench

FORWARD = [0.25, 0.1, 0.1, 0.0, 0.0, 0.0, 1.0]
BRAKING = 8


def driving(*, simulated: bool = True, max_steps: int = 10**6) -> Bench:
    bench = Bench(simulated=simulated, max_steps=max_steps)
    bench.ready()
    bench.drive(Mode.EE_TWIST, FORWARD, 8)
    assert bench.states[-1].safety is Safety.DRIVING
    return bench


def happened(bench: Bench, kind: type) -> list:
    return [event for event in list(bench.events.queue) if isinstance(event, kind)]


def resume(bench: Bench, lease: str = "L", epoch: int = 0) -> signalling.Message:
    """Let the operator come back; return what the host says to that."""
    bench.session.obey(signalling.ResumeOrder(lease, epoch or bench.epoch + 1))
    return bench.reports[-1]


@pytest.mark.parametrize("simulated", [True, False], ids=["simulated", "real"])
def test_a_pause_is_at_once_the_arm_brakes_and_the_recording_goes_on(simulated):
    bench = driving(simulated=simulated)
    bench.session.obey(signalling.PauseOrder(bench.epoch))
    bench.tick()
    assert bench.states[-1].safety is Safety.EXPIRED, "it did not wait for the watchdog"
    bench.tick(BRAKING)
    assert bench.session.at_rest
    assert bench.states[-1].recording
    assert len(happened(bench, Step)) == 8 + 1 + BRAKING
    assert happened(bench, EpisodeEnd) == []


def test_a_pause_of_another_lease_is_nothing():
    bench = driving()
    bench.session.obey(signalling.PauseOrder(bench.epoch - 1))
    bench.drive(Mode.EE_TWIST, FORWARD, 1)
    assert bench.states[-1].safety is Safety.DRIVING


def test_who_comes_back_arms_drives_on_and_finishes_one_and_the_same_episode():
    bench = driving()
    bench.session.obey(signalling.PauseOrder(bench.epoch))
    bench.tick(BRAKING)
    said = resume(bench)
    assert said == signalling.HostResumed("L", bench.epoch + 1, "E", 8 + BRAKING, bench.states[-1].seq)
    bench.epoch, bench.seq = bench.epoch + 1, 0
    bench.say(Mode.EE_TWIST, FORWARD, dead_man=True)
    bench.tick()
    assert bench.states[-1].safety is Safety.EXPIRED, "it wants to be armed first"
    bench.say()
    bench.tick()
    bench.drive(Mode.EE_TWIST, FORWARD, 4)
    assert bench.states[-1].safety is Safety.DRIVING
    bench.session.obey(signalling.FinishOrder(EndReason.FINISHED))
    steps = happened(bench, Step)
    assert [step.index for step in steps] == list(range(8 + BRAKING + 6))
    assert len(happened(bench, EpisodeStart)) == len(happened(bench, EpisodeEnd)) == 1
    assert bench.reports[-1] == signalling.Ended("E", True, len(steps), None, True, EndReason.FINISHED)


def test_what_the_lost_connection_sent_moves_nothing_whenever_it_comes():
    bench = driving()
    late = bench.bytes_of(Mode.EE_TWIST, FORWARD, dead_man=True, seq=10_000)
    bench.session.obey(signalling.PauseOrder(bench.epoch))
    bench.session.offer(late)
    resume(bench)
    bench.epoch, bench.seq = bench.epoch + 1, 0
    bench.say()
    bench.tick()
    assert bench.states[-1].safety is Safety.ARMED
    bench.session.offer(late)
    bench.tick()
    assert bench.states[-1].safety is Safety.ARMED
    assert bench.session.dropped["old_epoch"] == 1


@pytest.mark.parametrize(("lease", "above"), [("another", 1), ("L", 0), ("L", -1)])
def test_a_host_refuses_to_go_on_with_another_lease_or_an_epoch_that_is_not_above_the_last(lease, above):
    bench = driving()
    said = resume(bench, lease, bench.epoch + above)
    assert isinstance(said, signalling.Refused)
    assert said.lease == lease
    bench.drive(Mode.EE_TWIST, FORWARD, 1)
    assert bench.states[-1].safety is Safety.DRIVING, "nothing has changed"


def test_nobody_who_is_away_is_waited_for_beyond_the_last_step():
    bench = driving(max_steps=20)
    bench.session.obey(signalling.PauseOrder(bench.epoch))
    bench.now_ns += WATCHDOG_NS
    bench.tick(30)
    assert bench.reports[-1] == signalling.Ended("E", True, 20, None, True, EndReason.STEP_LIMIT)
    assert resume(bench) == signalling.HostResumed("L", bench.epoch + 1, None, 0, bench.states[-1].seq)


def test_the_end_of_a_lease_that_was_resumed_names_its_new_epoch():
    bench = driving()
    resume(bench)
    bench.session.obey(signalling.Revoke(bench.epoch, EndReason.LEFT))
    assert happened(bench, EpisodeEnd) == []
    bench.session.obey(signalling.Revoke(bench.epoch + 1, EndReason.LEFT))
    assert [end.reason for end in happened(bench, EpisodeEnd)] == [EndReason.LEFT]
