"""Nothing is driven that would not be kept: a recorder in trouble ends the episode and refuses the next, in words."""

from __future__ import annotations

from teleop.host.orders import Recordable
from teleop.steps import CannotRecord, EpisodeEnd
from teleop.wire import signalling
from teleop.wire.messages import Mode
from teleop.wire.reasons import EndReason
from tests.teleop.sessions import Bench

FULL = CannotRecord("its disk is full", EndReason.DISK_FULL)


def test_an_open_episode_ends_at_once_for_the_recorders_reason():
    bench = Bench()
    bench.ready()
    bench.drive(Mode.EE_TWIST, [0.1, 0, 0, 0, 0, 0, 1], 5)
    bench.session.obey(Recordable(FULL))
    ended, told = bench.reports[-2:]
    assert (ended.reason, ended.valid, ended.kept) == (EndReason.DISK_FULL, False, True)
    assert told == signalling.CannotRecord("its disk is full")
    events = [bench.events.get_nowait() for _ in range(bench.events.qsize())]
    assert isinstance(events[-1], EpisodeEnd)
    assert events[-1].reason is EndReason.DISK_FULL
    bench.tick(2)
    assert not bench.states[-1].recording


def test_an_episode_that_is_only_prepared_ends_too():
    bench = Bench()
    bench.ready()
    bench.session.obey(Recordable(FULL))
    assert (bench.reports[-2].reason, bench.reports[-2].kept) == (EndReason.DISK_FULL, False)


def test_begin_is_refused_while_nothing_can_be_recorded_and_works_afterwards():
    bench = Bench()
    bench.session.obey(Recordable(FULL))
    bench.lease()
    bench.begin()
    assert bench.reports[-1] == signalling.Ended("E", False, 0, None, False, EndReason.DISK_FULL)
    bench.session.obey(Recordable(None))
    assert bench.reports[-1] == signalling.CanRecord()
    bench.begin()
    bench.tick()
    assert bench.reports[-1] == signalling.Ready("E", 1)
