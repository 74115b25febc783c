"""A host with several robots: each has a process of its own, and what happens to one is alone that one's."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from armshare.failures import NotOnlineError
from armshare.platform import host as host_door
from armshare.platform import robots
from armshare.platform.demo import contribute, drive_once
from armshare.platform.processes import platform
from sim.catalogue import make_world
from teleop.host.link import Host
from teleop.identity import new_key
from teleop.operator.driver import Driver, RefusedError
from teleop.steps import EpisodeEnd, EpisodeStart, Events, Step
from teleop.wire.messages import Mode
from tests.armshare.platform.test_house import armshare, robot_of, state_of
from tests.conftest import House
from tests.teleop.sessions import PANDA, Puppet

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A platform with two robots, for the tests that leave both as they were."""
    data = tmp_path_factory.mktemp("pair")
    with (data / "log").open("wb") as log, platform(data, 0, ["panda", "panda"], log) as (url, (hub, host)):
        yield House(url, data, hub, host)


async def recording(driver: Driver, host: int, name: str) -> psutil.Process:
    """Drive until a process of a host has this robot's recording open, and return it."""
    while True:
        await moved(driver)
        for process in psutil.Process(host).children(recursive=True):
            if any(f"/host/{name}/recording/" in file.path for file in process.open_files()):
                return process


async def test_a_robot_that_crashes_comes_back_with_what_it_recorded_and_the_other_one_notices_nothing(pair):
    async with Driver(pair.url, new_key()) as unlucky, Driver(pair.url, new_key()) as other:
        crashing, going_on = await robot_of(unlucky, "panda-1"), await robot_of(other, "panda-2")
        await unlucky.join(crashing, "lift")
        await other.join(going_on, "lift")
        episode = (await unlucky.begin())["episode"]
        await unlucky.armed()
        for _ in range(30):
            await unlucky.command(Mode.EE_TWIST, [0.05, 0, 0, 0, 0, 0, 1], dead_man=True)
            await unlucky.next_state()
        driving = asyncio.create_task(drive_once(other, going_on))
        (await recording(unlucky, pair.host.process_id, "panda-1")).send_signal(signal.SIGSEGV)
        with pytest.raises(RefusedError, match="host_lost"):
            await unlucky.wait_for("ended")
        ended = await driving
        assert (ended["valid"], ended["success"]) == (True, True)
        assert (await contribute(other, ended, going_on)).episode == ended["episode"]
        assert await robot_of(unlucky, "panda-1") == crashing, "the same robot, with the same key"
        kept = await state_of(unlucky, episode, "invalid")
        assert (kept["valid"], kept["reason"], kept["steps"] >= 10) == (False, "host_lost", True)
        async with Driver(pair.url, new_key()) as next_one:
            await next_one.join(crashing, "lift")
            assert (await drive_once(next_one, crashing))["valid"]
    said = (pair.data / "log").read_text()
    assert "Fatal Python error: Segmentation fault" in said, "where it crashed"
    assert "a robot's process ended; starting another" in said


async def moved(driver: Driver) -> None:
    """Drive so many steps that a recorder has some of them on the disk."""
    for _ in range(12):
        await driver.command(Mode.EE_TWIST, [0.05, 0, 0, 0, 0, 0, 1], dead_man=True)
        await driver.next_state()


async def test_a_stop_outlives_a_crash_until_the_owner_clears_it(pair):
    async with Driver(pair.url, new_key()) as driver, Driver(pair.url, new_key()) as passer_by:
        robot = await robot_of(driver, "panda-1")
        await driver.join(robot, "lift")
        await driver.begin()
        await driver.armed()
        process = await recording(driver, pair.host.process_id, "panda-1")
        await passer_by.send({"type": "watch", "robot": robot})
        await passer_by.wait_for("watching")
        await passer_by.send({"type": "estop", "robot": robot})
        await passer_by.wait_for("estopped")
        assert (pair.data / "host" / "panda-1" / "stopped").exists(), "nobody is told before it lasts"
        process.send_signal(signal.SIGKILL)
        with pytest.raises(RefusedError, match="host_lost"):
            await passer_by.wait_for("closed")
    async with Driver(pair.url, new_key()) as driver:
        assert await robot_of(driver, "panda-1", "stopped") == robot
        await driver.join(robot, "lift")
        with pytest.raises(RefusedError, match="e-stopped; its owner can clear that"):
            await driver.begin()
        done = await asyncio.to_thread(armshare, "clear", "panda-1", "--hub", pair.url, "--data", str(pair.data))
        assert done.returncode == 0, done.stderr
        assert (await drive_once(driver, robot))["valid"]
    assert not (pair.data / "host" / "panda-1" / "stopped").exists()


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


async def test_robots_go_on_and_are_kept_where_what_they_were_forked_from_is_gone(tmp_path):
    with (tmp_path / "log").open("wb") as log, platform(tmp_path, 0, ["panda", "panda"], log) as (url, (_hub, host)):
        async with Driver(url, new_key()) as driver:
            robot, other = await robot_of(driver, "panda-1"), await robot_of(driver, "panda-2")
            await driver.join(robot, "lift")
            await driver.begin()
            await driver.armed()
            going_on = await recording(driver, host.process_id, "panda-1")
            origin = going_on.parent()
            (crashing,) = (one for one in origin.children() if one != going_on)
            origin.kill()
            await moved(driver)
            crashing.kill()
            await robot_of(driver, "panda-2", "offline")
            assert await robot_of(driver, "panda-2") == other
            assert going_on.is_running(), "and no second one beside it"
    _gone, alive = await asyncio.to_thread(psutil.wait_procs, [going_on], 20)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []


def loading(process: psutil.Process) -> bool:
    """Whether this is what robots are forked from, on its way: it has NumPy, of all that it loads."""
    try:
        return any("forkserver" in part for part in process.cmdline()) and any(
            "_multiarray_umath" in each.path for each in process.memory_maps()
        )
    except psutil.NoSuchProcess:  # a child that has ended, collected by now or not
        return False


def test_ctrl_c_ends_a_host_in_order_while_it_loads_what_its_robots_share(tmp_path):
    program = [sys.executable, "-m", "armshare", "host", "--robot", "panda", "--robot", "panda"]
    program += ["--hub", "http://127.0.0.1:9", "--data", str(tmp_path)]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, start_new_session=True) as host:
        try:
            while not any(loading(one) for one in psutil.Process(host.pid).children()):
                os.sched_yield()
            os.killpg(host.pid, signal.SIGINT)  # as a terminal does: to all of its group
            _out, said = host.communicate(timeout=60)
        finally:
            host.kill()
    assert host.returncode == 0
    assert "Traceback" not in said


class Troubled(BaseHTTPRequestHandler):
    """A hub that is being restarted: it cannot register anyone at first."""

    answers: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.answers.pop(0))

    def _answer(self, status: int) -> None:
        domain = {"chain_id": 31337, "vault": "0x5FbDB2315678afecb367f032d93F642f64180aa3"}
        body = json.dumps({**domain, "nonce": "0x" + "07" * 32}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("answers", "refused"), [([503, 201, 502, 201, 201], False), ([422], True), ([201, 422], True)]
)
async def test_a_hub_with_trouble_is_waited_for_and_one_that_refuses_is_not(monkeypatch, answers, refused):
    """Else one robot that is started anew in that moment would end all robots of its host."""
    monkeypatch.setattr(host_door, "_RETRY_S", 0.0)
    monkeypatch.setattr(Troubled, "answers", answers)
    with ThreadingHTTPServer(("127.0.0.1", 0), Troubled) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        registering = host_door._register(
            f"http://127.0.0.1:{server.server_port}", new_key(), new_key(), "panda-1", make_world("panda", "lift")
        )
        try:
            with pytest.raises(NotOnlineError) if refused else nullcontext():
                await registering
        finally:
            server.shutdown()
            thread.join()
    assert answers == []


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


@pytest.mark.parametrize("kept", [b"0xA", b"", b"\xff\xfe"])
def test_whatever_is_left_of_who_stopped_a_robot_it_is_stopped(tmp_path, kept):
    (tmp_path / "stopped").write_bytes(kept)
    robot = Puppet(replace(PANDA, simulated=False))
    host = Host("http://127.0.0.1:9", new_key(), "arm", robot, Events(), latch=tmp_path / "stopped")
    assert host.loop.estopped


def steps(*indices: int) -> list[Step]:
    found = [object.__new__(Step) for _ in indices]
    for step, index in zip(found, indices, strict=True):
        object.__setattr__(step, "index", index)
    return found


def test_whoever_takes_events_is_woken_for_starts_ends_and_many_steps_and_the_loop_never_waits():
    events, woken = Events(steps_together=3), []
    events.not_empty.notify = lambda: woken.append(events._qsize())
    start, end = (object.__new__(kind) for kind in (EpisodeStart, EpisodeEnd))
    first = steps(0, 1, 2, 3)
    for event in (start, *first):
        events.put(event)
    assert woken == [1, 4]
    assert [events.get() for _ in range(5)] == [start, *first]
    for event in (*steps(4, 5, 6), end, None):
        events.put(event)
    assert woken == [1, 4, 2, 4, 5], "at the steps that a recorder brings to the disk, whatever it has taken before"
