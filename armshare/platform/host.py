"""A robot's host, put together: robot, key and owner, and a recorder and an uploader in threads of their own."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import structlog
from eth_account.signers.local import LocalAccount

from armshare.client import message_of, not_a_hub
from armshare.failures import NotOnlineError, PlatformError, words
from armshare.platform.origin import worlds_of
from armshare.platform.processes import locked
from recorder.file.writer import commit_steps
from recorder.host.recording import Recorder
from recorder.host.room import Room, episode_bytes
from recorder.host.uploader import Uploader
from recorder.proof.seal import SealedEpisode
from sim.robot import Robot, Tasks
from teleop.cameras.spec import CameraSpec, require_mounts
from teleop.clock import now_ms
from teleop.dialing import trusted
from teleop.hardware.arms import LENGTH_S, open_arm
from teleop.host.link import Host
from teleop.host.orders import Recordable
from teleop.host.registration import registration, signed
from teleop.host.tasks import tasks_of
from teleop.identity import Domain, load_key
from teleop.steps import Events

_log = structlog.get_logger()
_RETRY_S: Final = 1.0
HTTP_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """One robot to bring online: a simulated one of that `kind`, or, with a `port`, a real one."""

    kind: str
    name: str
    tasks: tuple[str, ...]
    """What it offers: one or more, and of a real robot exactly one."""
    port: str = ""
    calibration: Path | None = None
    instruction: str = ""
    length_s: float = LENGTH_S
    """How long an episode of a real robot may be, up to an hour."""
    cameras: tuple[CameraSpec, ...] | None = None
    """Cameras of a real robot; a simulated one has those of its scene."""

    def open(self) -> Robot | Tasks:
        """Return the robot, not yet connected; raise RobotError if there is none of that name."""
        if self.port:
            return open_arm(
                self.kind,
                self.port,
                task=self.tasks[0],
                instruction=self.instruction,
                length_s=self.length_s,
                calibration=self.calibration,
            )
        return worlds_of(self.kind, self.tasks)


async def serve_one(hub_url: str, data: Path, wanted: Wanted) -> None:
    """Bring one robot online and keep it there until cancelled.

    The robot is opened, and guarded, before it is registered with the hub. Raises PlatformError,
    NotOnlineError or the robot's RobotError.
    """
    owner, folder = load_key(data / "keys" / "owner.key"), data / "host" / wanted.name
    with locked(folder, f"host of {wanted.name}"):
        key, robot = load_key(folder / "robot.key"), wanted.open()
        require_mounts(tasks_of(robot).specs[0].model, wanted.cameras or ())
        events = Events(commit_steps(tasks_of(robot).specs[0].control_hz))
        kept = folder / "stopped", folder / "grants"
        host = Host(hub_url, key, wanted.name, robot, events, wanted.cameras, *kept, owner=owner.address)
        gc.collect()
        gc.freeze()  # what is loaded by now stays: collecting it again would delay a motion by more than a period
        try:
            host.start()
            domain = await _register(hub_url, key, owner, wanted.name, robot)
            async with _recording(host, hub_url, folder, key, domain, events):
                await host.serve()
        finally:
            await host.stop()
            gc.unfreeze()


async def _register(hub_url: str, key: LocalAccount, owner: LocalAccount, name: str, robot: Robot | Tasks) -> Domain:
    """Register the robot with the hub; wait while the hub is not there yet or has trouble, or the clocks differ."""
    said = ""
    async with httpx.AsyncClient(base_url=hub_url, timeout=HTTP_S, trust_env=False, verify=trusted()) as http:
        while True:
            try:
                domain = _domain_of(hub_url, (await http.get("/api/config")).raise_for_status())
                answer = await _asked(http, domain, key, owner, name, robot)
                if answer.is_server_error:
                    answer.raise_for_status()
                if not answer.is_error:
                    return domain
                if not _passes(answer):
                    raise NotOnlineError(f"The hub did not register {name}: {message_of(answer)}")
                now = message_of(answer)
            except (httpx.TransportError, httpx.HTTPStatusError, PlatformError) as error:
                now = words(error)
            if now != said:
                _log.warning("waiting for the hub", hub=hub_url, error=now)
                said = now
            await asyncio.sleep(_RETRY_S)


async def _asked(
    http: httpx.AsyncClient, domain: Domain, key: LocalAccount, owner: LocalAccount, name: str, robot: Robot | Tasks
) -> httpx.Response:
    """Ask for a nonce, sign with both keys, and return the hub's answer; the first refusal is returned, too."""
    asked = await http.post("/api/robots/challenge", json={"robot": key.address})
    if asked.is_error:
        return asked
    try:
        nonce = str(asked.json()["nonce"])
    except (ValueError, KeyError, TypeError) as error:
        raise not_a_hub(str(http.base_url)) from error
    values = registration(key, owner.address, name, robot, nonce, now_ms())
    return await http.post("/api/robots", json=signed(values, owner, key, domain))


def _passes(answer: httpx.Response) -> bool:
    """Whether a refusal is of a clock that will be set: a small computer may start without the time."""
    try:
        return bool(answer.json()["error"]["code"] == "clock")
    except (ValueError, KeyError, TypeError):
        return False


def _domain_of(hub_url: str, answer: httpx.Response) -> Domain:
    """Return the domain that a hub signs in; raise PlatformError if what answered is not a hub."""
    try:
        config = answer.json()
        return Domain(config["chain_id"], config["vault"])
    except (ValueError, KeyError, TypeError) as error:
        raise not_a_hub(hub_url) from error


@asynccontextmanager
async def _recording(
    host: Host,
    hub_url: str,
    folder: Path,
    key: LocalAccount,
    domain: Domain,
    events: Events,
) -> AsyncIterator[None]:
    """Run the recorder and the uploader of one robot; first, recover what a crash has left."""
    with httpx.Client(base_url=hub_url, timeout=HTTP_S, trust_env=False, verify=trusted()) as client:
        uploader = Uploader(folder, client, lambda: host.uplink.token if host.uplink else "")

        def hand_on(_sealed: SealedEpisode) -> None:
            uploader.wake()

        needed = max(episode_bytes(spec, host.cameras.heads()) for spec in host.specs)
        room = Room(folder, lambda trouble: host.loop.order(Recordable(trouble)), needed)
        recorder = Recorder(folder, key, domain, hand_on, room, host.cameras)
        for saved in await asyncio.to_thread(recorder.recover):
            _log.warning("recovered an episode after a crash", robot=host.name, episode=saved.episode)
        threads = [
            threading.Thread(target=recorder.run, args=(events,), name=f"recorder {host.name}"),
            threading.Thread(target=uploader.run, name=f"uploader {host.name}"),
        ]
        for thread in threads:
            thread.start()
        waking = asyncio.create_task(_wake_when_online(host, uploader))
        try:
            yield
        finally:
            waking.cancel()
            events.put(None)
            await asyncio.to_thread(threads[0].join)
            uploader.stop()
            await asyncio.to_thread(threads[1].join)


async def _wake_when_online(host: Host, uploader: Uploader) -> None:
    while True:
        await host.online.wait()
        uploader.wake()
        await host.offline.wait()
