"""The process beside the robot: dials out to a hub, proves its robot's key, and joins the network to the control loop.

It works behind NAT, dials again after any loss, and trusts nothing: it checks each operator's grant itself, and only
the control loop decides about the robot's safety. A thread of its own serves the hub; asyncio only starts and ends it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from eth_account.signers.local import LocalAccount
from websockets.exceptions import ConnectionClosed, WebSocketException

from sim.robot import Robot, RobotSpec, Tasks
from teleop.cameras.spec import CameraSpec, cameras_of
from teleop.clock import SAME_MS, compared, now_ms
from teleop.dialing import websocket_url
from teleop.host.cameras.process import HostCameras
from teleop.host.dial import dial
from teleop.host.grants import GrantUsedError, UsedGrants
from teleop.host.hub_socket import CLOSE_S, HubSocket
from teleop.host.latch import StopFile, told
from teleop.host.loop import ControlLoop
from teleop.host.orders import Release
from teleop.host.tasks import tasks_of
from teleop.identity import CLEAR_ROBOT, HOST_HELLO, SESSION_GRANT, Domain, SignatureError
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.descriptor import describe
from teleop.wire.messages import JSON_BYTES_MAX, PROTOCOL
from teleop.wire.reasons import EndReason

_log = structlog.get_logger()
_BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_DIAL_S: Final = 10.0
PING_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Uplink:
    """Where this robot's episodes are uploaded, with which token and domain: known while its host is connected."""

    hub_url: str
    token: str
    domain: Domain


class LoopBrokenError(Exception):
    """The control loop has ended by itself; the robot holds, stopped, until its process is restarted."""


class Host:
    """One robot's host. `serve` runs until it is cancelled."""

    def __init__(
        self,
        hub_url: str,
        key: LocalAccount,
        name: str,
        robot: Robot | Tasks,
        events: Events,
        cameras: Sequence[CameraSpec] | None = None,
        latch: Path | None = None,
        grants: Path | None = None,
        *,
        owner: str = "",
    ) -> None:
        """`cameras`: those of a real robot; if none are given, a simulated robot has those of its scene.

        `latch`: the file that says who stopped the robot, while it is stopped; so a stop outlives the process.
        `grants`: the file that remembers which grants have been used.
        `owner`: the address whose signature clears the robot; without one, nobody can. No hub is asked for it.
        """
        self.key, self.name, self._owner = key, name, owner
        self.uplink: Uplink | None = None
        """Read by the recorder's thread, so it is only ever replaced as a whole."""
        self._hub_url = hub_url.rstrip("/")
        self._tasks = tasks_of(robot)
        self._socket: HubSocket | None = None
        self._dialling, self._leaving = False, threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoch = 0
        self._lease: signalling.LeaseOrder | None = None
        """The last one that was accepted."""
        self._clock_differs = ""
        """How this robot's clock differs from the hub's, as the end of a sentence."""
        self._used = UsedGrants(grants)
        self._started = False
        spec = self._tasks.robot.spec
        if cameras is None:
            cameras = cameras_of(spec) if spec.simulated else ()
        self.cameras = HostCameras(self._hub_url, spec, cameras, self._report)
        self._tasks.robot.connect()
        self._stop_file = StopFile(latch)
        self.loop = ControlLoop(
            self._tasks,
            key.address,
            name,
            events,
            self._publish,
            self._report,
            self._stop_file.read(),
            self._give_up,
            self.cameras.change,
            self.cameras,
        )
        self.online, self.offline = asyncio.Event(), asyncio.Event()
        self.offline.set()
        self._ended = asyncio.Event()
        self._ended_by: Exception | None = None

    @property
    def specs(self) -> tuple[RobotSpec, ...]:
        """What the robot is at each of its tasks."""
        return self._tasks.specs

    def start(self) -> None:
        """Start the control loop, which guards the robot. Idempotent."""
        if not self._started:
            self._started, self._loop = True, asyncio.get_running_loop()
            self.loop.start()
            self.cameras.start()

    async def stop(self) -> None:
        """End the control loop, and release the robot. Idempotent."""
        if self._started:
            self._started = False
            await asyncio.to_thread(self.loop.stop)
        await asyncio.to_thread(self.cameras.close)
        self._tasks.robot.disconnect()

    async def serve(self) -> None:
        """Keep the robot online until cancelled: dial, serve, and dial again after a pause that grows. Then `stop`.

        Raises LoopBrokenError once the control loop has given up: whatever started this process should restart it.
        """
        self.start()
        network = threading.Thread(target=self._serve, name=f"network {self.name}", daemon=True)
        network.start()
        try:
            await self._ended.wait()
            assert self._ended_by is not None
            raise self._ended_by
        finally:
            await asyncio.to_thread(self._leave, network)
            self._told_offline()
            await self.stop()

    def _leave(self, network: threading.Thread) -> None:
        """End the thread that serves the hub. If it is dialling, it ends by itself once it has dialled."""
        self._leaving.set()
        socket = self._socket
        if socket is not None:
            socket.close()
        if not self._dialling:
            network.join(CLOSE_S + 1.0)

    def _serve(self) -> None:
        """Keep the robot online until told to leave: the network thread."""
        attempt = 0
        while not self._leaving.is_set():
            try:
                self._connect()
                attempt = 0
            except (OSError, WebSocketException, signalling.SignallingError) as error:
                _log.warning("hub not reached", hub=self._hub_url, robot=self.name, error=str(error))
            except Exception as error:  # noqa: BLE001  a fault of ours: `serve` raises it
                self._end(error)
                return
            self._leaving.wait(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
            attempt += 1

    def _give_up(self, error: Exception) -> None:
        """Called from the control loop's thread, as it ends."""
        self._end(LoopBrokenError(f"the control loop of {self.name} broke again and again, at last by: {error}"))

    def _end(self, error: Exception) -> None:
        self._ended_by = self._ended_by or error
        self._tell(self._ended.set)

    def _tell(self, call: Callable[[], object]) -> None:
        """Call it in the event loop, soon; not if that has ended, as nobody listens there any more."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call)

    def _told_online(self) -> None:
        self.offline.clear()
        self.online.set()

    def _told_offline(self) -> None:
        self.online.clear()
        self.offline.set()

    def _connect(self) -> None:
        """Serve one connection until it ends."""
        url = websocket_url(self._hub_url, "/ws/host")
        self._dialling = True
        try:
            socket = HubSocket(dial(url, JSON_BYTES_MAX, _DIAL_S), PING_S)
            self._socket = socket  # before `hello` says whether the robot is stopped: a later stop is sent
        finally:
            self._dialling = False
        try:
            if not self._leaving.is_set():
                self._session(socket)
        finally:
            self._socket = None
            socket.finish()

    def _session(self, socket: HubSocket) -> None:
        try:
            frames = iter(socket)
            domain = self._introduce(socket, frames)
            socket.take = self.loop.offer
            for frame in frames:
                if isinstance(frame, str):
                    self._obey(signalling.to_host(frame), domain, socket.signal)
        except ConnectionClosed as closed:
            if not self._leaving.is_set():
                _log.warning("hub lost", robot=self.name, error=str(closed))
        finally:
            self._tell(self._told_offline)
            self._socket, self.uplink = None, None
            self.cameras.uplink("")
            self.cameras.look([])
            self.cameras.hold(False)
            self.loop.order(signalling.Revoke(self._epoch, EndReason.HOST_LOST))

    def _introduce(self, socket: HubSocket, frames: Iterator[str | bytes]) -> Domain:
        frame = next(frames)
        signalling.require_protocol(frame, "update the hub or this host, whichever is older")
        challenge = signalling.to_host(frame)
        if not isinstance(challenge, signalling.Challenge):
            raise signalling.SignallingError("protocol", f"expected a challenge first, got {challenge}")
        domain = Domain(challenge.chain_id, challenge.vault)
        values = {"robot": self.key.address, "challenge": challenge.challenge}
        signature = HOST_HELLO.sign(self.key, domain, values)
        described = [camera.describe() for camera in self.cameras.cameras]
        descriptor = {**describe(self.name, *self._tasks.specs), "cameras": described}
        latch = self.loop.latch
        stop = latch.stop if latch is not None and latch.by is not None else None
        hello = signalling.HostHello(
            PROTOCOL, self.key.address, signature, descriptor, stop is not None, stop, takes_rules=True, takes_word=True
        )
        socket.begin(signalling.encode(hello))
        return domain

    def _obey(self, message: signalling.ToHost, domain: Domain, say: Callable[[str], None]) -> None:
        match message:
            case signalling.HostWelcome():
                self.uplink = Uplink(self._hub_url, message.upload_token, domain)
                self._compare(message.now_ms)
                self.cameras.uplink(message.upload_token)
                self._tell(self._told_online)
                self._tell(self._say_fault)
                if self.loop.unrecordable is not None:
                    say(signalling.encode(signalling.CannotRecord(self.loop.unrecordable)))
                _log.info("online", robot=self.name, hub=self._hub_url)
            case signalling.HostCannotCheck():
                told = "the hub cannot check what is driven with this robot: it is held there, and not paid"
                _log.warning(told, robot=self.name, task=message.task, why=message.reason)
            case signalling.LeaseOrder():
                refusal = self._refusal(message, domain)
                if refusal is None:
                    self._epoch, self._lease = message.epoch, message
                    self.cameras.hold(True)
                    self.loop.order(message)
                else:
                    say(signalling.encode(signalling.Refused(message.lease, refusal)))
            case signalling.ResumeOrder():
                self._epoch = max(self._epoch, message.epoch)
                self.cameras.hold(True)
                self.loop.order(message)
            case signalling.Revoke():
                if message.epoch == self._epoch:
                    self.cameras.hold(False)
                self.loop.order(message)
            case signalling.BeginOrder() if self._lease and (over := self._over(self._lease.grant)):
                say(signalling.encode(signalling.Refused(self._lease.lease, f"{over}; join again")))
            case signalling.ClearOrder():
                self._clear(message, domain, say)
            case signalling.Looked():
                self.cameras.look(message.streams)
            case signalling.Refusal():
                raise signalling.SignallingError(message.code, message.message)
            case signalling.Challenge():
                raise signalling.SignallingError("protocol", "expected one challenge only")
            case _:
                self.loop.order(message)

    def _refusal(self, lease: signalling.LeaseOrder, domain: Domain) -> str | None:
        """Check the operator's grant here too: the hub is not trusted with who may drive."""
        grant, offered = lease.grant, [spec.task.name for spec in self._tasks.specs if spec.task]
        if grant.robot != self.key.address or grant.operator != lease.operator:
            return f"expected a grant for {self.key.address} by {lease.operator}, got {grant.robot} by {grant.operator}"
        if grant.task not in offered or lease.task != grant.task:
            return f"expected one of the tasks {offered}, got {grant.task!r}, and {lease.task!r} from the hub"
        over = self._over(grant)
        if over is not None:
            return over
        if lease.epoch <= self._epoch:
            return (
                f"expected an epoch above {self._epoch}, got {lease.epoch}; if the hub forgot some, restart this host"
            )
        try:
            SESSION_GRANT.require(grant.operator, domain, grant.values, lease.signature)
            self._used.use(grant.nonce, grant.not_after_ms, now_ms())
        except (SignatureError, GrantUsedError) as error:
            return str(error)
        return None

    def _over(self, grant: signalling.Grant) -> str | None:
        """Say that a grant has expired: no episode begins under it, however long a hub keeps the lease."""
        ago_ms = now_ms() - grant.not_after_ms
        if ago_ms <= 0:
            return None
        return f"expected a grant that has not expired, got one that ended {ago_ms // 1000} s ago{self._clock_differs}"

    def _clear(self, order: signalling.ClearOrder, domain: Domain, say: Callable[[str], None]) -> None:
        """Check the owner's signature here too: no hub releases a stop. What is latched, the control loop compares."""
        try:
            CLEAR_ROBOT.require(self._owner, domain, {"robot": self.key.address, "stop": order.stop}, order.signature)
        except SignatureError as error:
            _log.warning("a clear is refused", robot=self.name, error=str(error))
            say(signalling.encode(signalling.NotCleared(f"{error}; sign as the robot's owner, with keys/owner.key")))
            return
        self.loop.order(Release(order.stop, self._owner))

    def _compare(self, hub_ms: int | None) -> None:
        """Note how this clock differs from the hub's, for a refusal."""
        ahead_ms = 0 if hub_ms is None else now_ms() - hub_ms
        self._clock_differs = ""
        if abs(ahead_ms) >= SAME_MS:
            self._clock_differs = f"; the robot's clock {compared(ahead_ms, 'the hub')}"
            _log.warning("this clock and the hub's differ; set them by NTP", robot=self.name, ahead_s=ahead_ms // 1000)

    def _publish(self, state: bytes) -> None:
        self.cameras.show(state)
        socket = self._socket
        if socket is not None:
            socket.latest(state)

    def _report(self, message: signalling.Message) -> None:
        if isinstance(message, signalling.Ready):
            self.cameras.scene(message.seed)
        if isinstance(message, signalling.Estopped | signalling.Faulted | signalling.Cleared):
            self._tell(partial(self._keep_and_say, self._socket, message))
        else:
            self._say(self._socket, message)

    def _keep_and_say(
        self, socket: HubSocket | None, message: signalling.Estopped | signalling.Faulted | signalling.Cleared
    ) -> None:
        """Nobody is told before it lasts; the control loop does not wait for the disk."""
        try:
            self._stop_file.keep(message)
        except OSError as error:
            _log.error("the stop's file cannot be written; a restart loses this", robot=self.name, error=str(error))
        self._say(socket, message)

    def _say_fault(self) -> None:
        """Tell a hub that was away of a fault, in the event loop: what is reported meanwhile comes after it there."""
        for message in told(self.loop.latch):
            if isinstance(message, signalling.Faulted):
                self._say(self._socket, message)

    def _say(self, socket: HubSocket | None, message: signalling.Message) -> None:
        if socket is not None:
            socket.signal(signalling.encode(message))
