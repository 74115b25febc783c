"""A host with several robots: each has a process of its own, and what happens to one is alone that one's."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from teleop.client import Driver, RefusedError
from teleop.doors import robots
from teleop.doors.demo import contribute, drive_once
from teleop.doors.processes import platform
from teleop.identity import new_key
from teleop.messages import Mode
from teleop.steps import EpisodeEnd, EpisodeStart, Events, Step

from .test_house import armshare, robot_of, state_of

pytestmark = pytest.mark.anyio


def recording(host: int, name: str) -> psutil.Process:
    """Return the process of a host that has this robot's recording open."""
    for process in psutil.Process(host).children(recursive=True):
        if any(f"/host/{name}/recording/" in file.path for file in process.open_files()):
            return process
    raise AssertionError(f"expected a process that records {name}")


async def test_a_robot_that_crashes_comes_back_with_what_it_recorded_and_the_other_one_notices_nothing(tmp_path):
    with (tmp_path / "log").open("wb") as log, platform(tmp_path, 0, ["panda", "panda"], log) as (url, (_hub, host)):
        async with Driver(url, new_key()) as unlucky, Driver(url, new_key()) as other:
            crashing, going_on = await robot_of(unlucky, "panda-1"), await robot_of(other, "panda-2")
            await unlucky.join(crashing, "lift")
            await other.join(going_on, "lift")
            episode = (await unlucky.begin())["episode"]
            await unlucky.armed()
            for _ in range(30):
                await unlucky.command(Mode.EE_TWIST, [0.05, 0, 0, 0, 0, 0, 1], dead_man=True)
                await unlucky.next_state()
            driving = asyncio.create_task(drive_once(other, going_on))
            recording(host.process_id, "panda-1").send_signal(signal.SIGSEGV)
            with pytest.raises(RefusedError, match="host_lost"):
                await unlucky.wait_for("ended")
            ended = await driving
            assert (ended["valid"], ended["success"]) == (True, True)
            assert (await contribute(other, ended, going_on)).episode == ended["episode"]
            assert await robot_of(unlucky, "panda-1") == crashing, "the same robot, with the same key"
            kept = await state_of(unlucky, episode, "invalid")
            assert (kept["valid"], kept["reason"], kept["steps"] >= 10) == (False, "host_lost", True)
            async with Driver(url, new_key()) as next_one:
                await next_one.join(crashing, "lift")
                assert (await drive_once(next_one, crashing))["valid"]
    said = (tmp_path / "log").read_text()
    assert "Fatal Python error: Segmentation fault" in said, "where it crashed"
    assert "a robot's process ended; starting another" in said


async def test_a_stop_outlives_a_crash_until_the_owner_clears_it(tmp_path):
    with (tmp_path / "log").open("wb") as log, platform(tmp_path, 0, ["panda", "panda"], log) as (url, (_hub, host)):
        async with Driver(url, new_key()) as driver, Driver(url, new_key()) as passer_by:
            robot = await robot_of(driver, "panda-1")
            await driver.join(robot, "lift")
            await driver.begin()
            await driver.armed()
            for _ in range(12):
                await driver.command(Mode.EE_TWIST, [0.05, 0, 0, 0, 0, 0, 1], dead_man=True)
                await driver.next_state()
            process = recording(host.process_id, "panda-1")
            await passer_by.send({"type": "watch", "robot": robot})
            await passer_by.wait_for("watching")
            await passer_by.send({"type": "estop", "robot": robot})
            await passer_by.wait_for("estopped")
            assert (tmp_path / "host" / "panda-1" / "stopped").exists(), "nobody is told before it lasts"
            process.send_signal(signal.SIGKILL)
            with pytest.raises(RefusedError, match="host_lost"):
                await passer_by.wait_for("closed")
        async with Driver(url, new_key()) as driver:
            assert await robot_of(driver, "panda-1", "stopped") == robot
            await driver.join(robot, "lift")
            with pytest.raises(RefusedError, match="e-stopped; its owner can clear that"):
                await driver.begin()
            done = await asyncio.to_thread(armshare, "clear", "panda-1", "--hub", url, "--data", str(tmp_path))
            assert done.returncode == 0, done.stderr
            assert (await drive_once(driver, robot))["valid"]
        assert not (tmp_path / "host" / "panda-1" / "stopped").exists()


async def test_robots_end_with_their_host_however_it_ends(tmp_path):
    with (tmp_path / "log").open("wb") as log, platform(tmp_path, 0, ["panda", "panda"], log) as (url, (_hub, host)):
        async with Driver(url, new_key()) as driver:
            for name in ("panda-1", "panda-2"):
                await robot_of(driver, name)
            family = psutil.Process(host.process_id).children(recursive=True)
            assert len(family) >= 3, "the process that robots are forked from, and two robots"
            assert sum(os.getsid(one.pid) == one.pid for one in family) == 2, "Ctrl-C reaches none of the robots"
            os.kill(host.process_id, signal.SIGKILL)
            _gone, alive = await asyncio.to_thread(psutil.wait_procs, family, 60)
            assert alive == []


def heeding(ready: Connection) -> None:
    """Do nothing until interrupted."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(7))
    ready.send(True)
    threading.Event().wait()


def deaf(ready: Connection) -> None:
    """Do nothing for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ready.send(True)
    threading.Event().wait()


@pytest.mark.parametrize(("does", "wait_s", "code"), [(heeding, 120.0, 7), (deaf, 0.0, -signal.SIGKILL)])
async def test_a_robots_process_is_interrupted_first_and_killed_where_that_is_in_vain(monkeypatch, does, wait_s, code):
    monkeypatch.setattr(robots, "_STOP_S", wait_s)
    context = multiprocessing.get_context("forkserver")
    ready, saying = context.Pipe(duplex=False)
    with ready:
        process = context.Process(target=does, args=(saying,), daemon=True)
        process.start()
        saying.close()
        assert await asyncio.to_thread(ready.recv)
        await robots._stop(process)
    assert process.exitcode == code
    process.close()


@pytest.mark.parametrize("wrong", ["nobody:lift", "panda:juggle"])
def test_a_robot_that_there_is_none_of_ends_the_host_with_its_name(house, tmp_path: Path, wrong: str):
    done = armshare("host", "--robot", "panda", "--robot", wrong, "--hub", house.url, "--data", str(tmp_path))
    assert done.returncode == 2
    assert wrong.partition(":")[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_whoever_takes_events_is_woken_for_starts_ends_and_many_steps_and_the_loop_never_waits():
    events, woken = Events(steps_together=3), []
    events.not_empty.notify = lambda: woken.append(events._qsize())
    start, step, end = (object.__new__(kind) for kind in (EpisodeStart, Step, EpisodeEnd))
    for event in (start, step, step, step):
        events.put(event)
    assert woken == [1, 3, 4]
    taken = [events.get() for _ in range(4)]
    assert taken == [start, step, step, step]
    for event in (step, step, end, None):
        events.put(event)
    assert woken == [1, 3, 4, 3, 4]
