"""How long an episode may be is its task's or its robot's owner's choice, up to an hour; everything else follows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from armshare.platform.host import Wanted
from recorder.file.episode import require_size
from recorder.file.layout import STEPS_MAX, VERSION, Counts
from recorder.file.meta import spec_meta
from recorder.host.room import RESERVE_BYTES, Room, episode_bytes
from rewards.score.metrics import DURATION_MAX_S, EpisodeFacts, measure, unsound
from sim.robot import EPISODE_S_MAX, EpisodeLengthError, steps_in
from teleop.hub.leases.queues import STARTING_MS
from teleop.hub.sockets import COMMANDS_PER_S
from teleop.wire.descriptor import require_descriptor
from teleop.wire.signalling import SignallingError
from tests.teleop.hub.bench import LEASE_S, Bench, descriptor
from tests.teleop.sessions import PANDA

HOUR = round(EPISODE_S_MAX * PANDA.control_hz)


def said(max_steps: int):
    found = descriptor()
    found["tasks"] = [{**task, "max_steps": max_steps} for task in found["tasks"]]
    return found


def test_a_real_robots_owner_says_how_long_an_episode_may_be():
    assert Wanted("so101", "arm", ("free",), port="/dev/none").open().spec.task.max_steps == 1200
    assert Wanted("so101", "arm", ("free",), port="/dev/none", length_s=3600.0).open().spec.task.max_steps == 72_000
    named = Wanted("so101", "arm", ("fold",), port="/dev/none", instruction="Fold the towel.", length_s=600.0)
    assert (named.open().spec.task.name, named.open().spec.task.max_steps) == ("fold", 12_000)


@pytest.mark.parametrize("length_s", [0.0, -1.0, 0.01, 3600.1, 1e9, float("nan"), float("inf")])
def test_a_length_that_cannot_be_is_refused_in_a_sentence(length_s):
    with pytest.raises(EpisodeLengthError, match="An episode lasts from one step to 3600 s"):
        steps_in(length_s, 20.0)


def test_a_hub_takes_tasks_of_up_to_an_hour():
    require_descriptor(said(HOUR))
    for steps in (HOUR + 1, 0):
        with pytest.raises(SignallingError, match="expected `max_steps` of up to 3600 s"):
            require_descriptor(said(steps))


def test_a_file_holds_an_hour_at_120_hz():
    commands = int(EPISODE_S_MAX) * COMMANDS_PER_S
    assert STEPS_MAX == EPISODE_S_MAX * 120
    require_size(spec_meta(PANDA).columns(VERSION), Counts(STEPS_MAX, 1000, commands, commands * 96))


def test_room_is_asked_for_as_much_as_the_longest_episode_takes(tmp_path: Path):
    hour = replace(PANDA, task=replace(PANDA.task, max_steps=HOUR))
    assert episode_bytes(hour) == HOUR // PANDA.task.max_steps * episode_bytes(PANDA)
    told = []
    room = Room(tmp_path, told.append, episode_bytes(hour), free=lambda _folder: RESERVE_BYTES + episode_bytes(PANDA))
    room.check()
    assert "recording needs" in told[0].says


@pytest.mark.anyio
async def test_a_lease_is_long_enough_for_an_episode_of_its_task_also_while_others_wait():
    bench = Bench()
    dock, _ = await bench.host(descriptor=said(HOUR))
    holder, waiting = bench.operator(), bench.operator()
    lease = await holder.join()
    await waiting.join()
    assert holder.ear.last("waiting")["left_s"] == EPISODE_S_MAX + STARTING_MS // 1000
    assert bench.hub.wait_s(dock, 0) == EPISODE_S_MAX + STARTING_MS // 1000
    bench.pass_s(EPISODE_S_MAX)
    assert EPISODE_S_MAX > LEASE_S
    bench.hub.expire()
    assert holder.seat.lease is lease
    bench.pass_s(STARTING_MS / 1000 + 1.0)
    bench.hub.expire()
    await bench.settle()
    assert waiting.seat.lease.held


def test_an_hour_is_scored_and_more_is_not():
    t_s = np.arange(HOUR + 1) / PANDA.control_hz * 1.01  # a loop that is a little slow
    angle = 2e-3 * np.arange(HOUR + 1)
    facts = EpisodeFacts(
        episode="hour",
        task="free",
        success=True,
        valid=True,
        end_reason="step_limit",
        control_hz=PANDA.control_hz,
        t_s=t_s,
        ee_position_m=np.stack([0.2 * np.cos(angle), 0.2 * np.sin(angle), np.zeros(HOUR + 1)], axis=1),
        joint_rad=np.sin(angle)[:, np.newaxis],
        gripper=np.ones((HOUR + 1, 1)),
        applied_rad=np.sin(angle[1:])[:, np.newaxis],
        applied_gripper=np.ones((HOUR, 1)),
        limited=np.zeros(HOUR, dtype=np.bool_),
    )
    assert t_s[-1] > EPISODE_S_MAX
    assert unsound(facts) is None
    assert measure(facts).duration_s == t_s[-1]
    slow = replace(facts, t_s=t_s * 1.1)
    assert slow.t_s[-1] > DURATION_MAX_S
    assert "longer than" in str(unsound(slow))
