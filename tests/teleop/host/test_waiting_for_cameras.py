"""An episode of a real robot begins once its cameras give pictures, or do not open for five seconds."""

from __future__ import annotations

import pytest

from teleop.cameras.spec import CameraSpec
from teleop.steps import FilmHead
from teleop.wire import signalling
from teleop.wire.reasons import EndReason
from tests.teleop.sessions import Bench

SECOND_NS = 1_000_000_000


class Opening:
    """Cameras that are not open yet."""

    open = False

    def heads(self) -> tuple[FilmHead, ...]:
        return (CameraSpec("desk", device="0").head(timed=False),)

    def ready(self) -> bool:
        return self.open


@pytest.fixture
def bench() -> Bench:
    made = Bench(simulated=False)
    made.session._episodes._cameras = Opening()
    made.lease()
    made.begin()
    return made


def ready(bench: Bench) -> bool:
    return any(isinstance(one, signalling.Ready) for one in bench.reports)


def test_an_episode_begins_once_the_cameras_are_open(bench):
    bench.session.tick()
    assert not ready(bench)
    bench.session._episodes._cameras.open = True
    bench.session.tick()
    assert ready(bench)


def test_a_camera_that_does_not_open_is_waited_for_five_seconds(bench):
    bench.now_ns += 5 * SECOND_NS
    bench.session.tick()
    assert not ready(bench)
    bench.now_ns += 1
    bench.session.tick()
    assert ready(bench)


def test_whoever_leaves_meanwhile_ends_what_was_asked_for(bench):
    bench.session.obey(signalling.Revoke(bench.epoch, EndReason.LEFT))
    bench.session._episodes._cameras.open = True
    bench.session.tick()
    assert not ready(bench)
    assert [one.reason for one in bench.reports if isinstance(one, signalling.Ended)] == [EndReason.LEFT]
