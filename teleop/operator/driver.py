"""An operator as a program: signs in with a wallet, queues for a robot, drives it over the same wire as a browser."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

import httpx
import msgspec
import numpy as np
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from numpy.typing import ArrayLike
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import Event
from websockets.protocol import State as Stage

from sim.robot import Vector
from teleop.clock import compared, now_ms
from teleop.dialing import tls_of, trusted, websocket_url
from teleop.identity import CLEAR_ROBOT, SESSION_GRANT, Domain, new_key, session_key
from teleop.operator.program import this_program
from teleop.wire.driver import Driver as Said
from teleop.wire.messages import (
    DIGEST_BYTES,
    FIRST,
    JSON_BYTES_MAX,
    PROTOCOL,
    Command,
    Mode,
    Safety,
    State,
    WireError,
    digest_of,
)

SESSION_MS: Final = 4 * 3_600_000
"""How long a grant lasts: a wait in a queue, and then an episode, which may take an hour."""
ANSWER_S: Final = 30.0


class RefusedError(Exception):
    """The hub refused; `code` is the protocol's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


async def call(http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """Call the HTTP API; raise RefusedError with the hub's own words if it refuses."""
    answer = await http.request(method, path, json=body)
    if answer.is_error:
        raise refusal(answer)
    try:
        return answer.json() if answer.content else None
    except ValueError as error:
        raise _not_a_hub(answer) from error


def refusal(answer: httpx.Response) -> RefusedError:
    """Return the error that a refusing answer stands for; its code is the status if it is not the hub's own answer."""
    try:
        said = answer.json()["error"]
        return RefusedError(said.get("gate", said["code"]), said["message"])
    except (ValueError, KeyError, TypeError):
        return _not_a_hub(answer)


def _not_a_hub(answer: httpx.Response) -> RefusedError:
    """Return the error for an answer that no hub gives: a proxy's, or that of another program at the address."""
    what = f"{answer.request.url} was answered by something that is not a hub ({answer.status_code})"
    return RefusedError(str(answer.status_code), f"{what}; check the address, with its path if it has one")


async def hub_config(http: httpx.AsyncClient) -> dict[str, Any]:
    """Return what a hub says of itself; raise RefusedError if what answers is not a hub."""
    answer = await http.get("/api/config")
    if answer.is_error:
        raise refusal(answer)
    with suppress(ValueError):
        found = answer.json()
        if isinstance(found, dict) and {"chain_id", "vault"} <= found.keys():
            return found
    raise _not_a_hub(answer)


async def sign_in(http: httpx.AsyncClient, wallet: LocalAccount) -> str:
    """Sign a wallet in: `http` carries its token from then on, which is returned. Raises RefusedError."""
    asked = await call(http, "POST", "/api/auth/challenge", {"address": wallet.address})
    signed = wallet.sign_message(encode_defunct(text=asked["message"]))
    proof = {"nonce": asked["nonce"], "signature": "0x" + bytes(signed.signature).hex()}
    token = str((await call(http, "POST", "/api/auth/verify", proof))["token"])
    http.headers["Authorization"] = f"Bearer {token}"
    return token


class _Socket(ClientConnection):
    """A websocket that hands on states as they come, and sends commands at once while the hub reads them."""

    take: Callable[[bytes], None] | None = None
    """Called with each binary message; one that it cannot read is received like any other."""

    def process_event(self, event: Event) -> None:
        if self.take is not None and isinstance(event, Frame) and event.opcode is Opcode.BINARY and event.fin:
            with suppress(WireError):
                self.take(bytes(event.data))
                return
        super().process_event(event)

    def sent(self, data: bytes) -> bool:
        """Send a binary message; return False if it cannot go now."""
        if self.paused or self.protocol.state is not Stage.OPEN:
            return False
        self.protocol.send_binary(data)
        self.send_data()
        return True


class Driver:
    """One operator's connection. Use as `async with Driver(url, wallet) as driver`."""

    def __init__(self, hub_url: str, wallet: LocalAccount) -> None:
        self.wallet, self.session_key = wallet, new_key()
        self.camera_told: Callable[[dict[str, Any]], None] | None = None
        """Called with each `camera_trouble` as it comes."""
        self.http = httpx.AsyncClient(base_url=hub_url, timeout=ANSWER_S, trust_env=False, verify=trusted())
        self.config: dict[str, Any] = {}
        self.state: State | None = None
        self.round_trips_us: list[int] = []
        """The time from sending a command to the state that says it was applied, once for each command answered."""
        self._ws_url = websocket_url(hub_url, "/ws/drive")
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self._socket: _Socket | None = None
        self._reader: asyncio.Task[None] | None = None
        self._closed = ""
        self._ahead_ms = 0
        """How far this clock is ahead of the hub's."""
        self._fault = ""
        """What broke the robot that we are at."""
        self._overtaken = False
        self._nonce = ""
        self._epoch = self._seq = self._answered = 0
        self._sent: dict[int, bytearray] = {}
        """For each epoch, `digest_of` every command that was sent in it, one after the other: 32 bytes each."""
        self.resumed = False
        """Whether a lease was gone on with here that another connection had driven before."""
        self._foreign = False
        """Whether the robot obeyed something that was not sent here."""
        self.robot: dict[str, Any] = {}
        """The descriptor of the robot that was granted."""
        self.task: dict[str, Any] = {}
        """The task that was granted."""
        self.said: dict[str, Said] = {}
        """For each episode that was begun here, who or what drives it, as the hub was told."""
        self.cameras: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        """For each episode, what was wrong with its cameras' pictures: the newest `camera_trouble` of each kind."""
        self.unchecked: str | None = None
        """Why the hub cannot check what is driven here, if it said so before the robot was granted."""
        self._layout: list[tuple[str, int, tuple[int, ...]]] = []

    async def __aenter__(self) -> Driver:
        try:
            await self._sign_in()
        except BaseException:
            await self.http.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await self._reader
        await self.http.aclose()

    @property
    def model(self) -> str:
        """The model of the robot that was granted."""
        return str(self.robot["model"])

    @property
    def domain(self) -> Domain:
        """The hub's EIP-712 domain."""
        return Domain(self.config["chain_id"], self.config["vault"])

    async def _sign_in(self) -> None:
        self.config = await hub_config(self.http)
        token = await sign_in(self.http, self.wallet)
        socket = await connect(
            self._ws_url,
            ssl=tls_of(self._ws_url),
            compression=None,
            max_size=JSON_BYTES_MAX,
            proxy=None,
            create_connection=_Socket,
        )
        assert isinstance(socket, _Socket)  # `create_connection` says so
        self._socket, socket.take = socket, lambda data: self._take(State.decode(data))
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.send({"type": "hello", "protocol": PROTOCOL, "token": token})
        welcome = await self.wait_for("welcome")
        self._nonce, hub_ms = welcome["nonce"], welcome.get("now_ms")
        self._ahead_ms = 0 if hub_ms is None else now_ms() - hub_ms
        self.session_key = session_key(self.wallet, self.domain, self._nonce)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the HTTP API; raise RefusedError with the hub's own words if it refuses."""
        return await call(self.http, method, path, body)

    async def send(self, message: dict[str, Any]) -> None:
        """Send a control message."""
        await self._transmit(json.dumps(message))

    async def wait_for(
        self, kind: str, *, within_s: float | None = ANSWER_S, told: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Return the next control message of that type; `told` hears those before it.

        Raises RefusedError for an error, an ended lease, or if no such message came in time.
        """
        try:
            async with asyncio.timeout(within_s):
                while (message := await self._messages.get())["type"] != kind:
                    self._require_no_refusal(message, kind)
                    if told is not None:
                        told(message)
        except TimeoutError as error:
            raise RefusedError("timeout", f"the hub did not say `{kind}` within {within_s:g} s; try again") from error
        return message

    def heard(self, kind: str) -> dict[str, Any] | None:
        """Return the next control message of that type if it has come already; raise as `wait_for`."""
        while not self._messages.empty():
            message = self._messages.get_nowait()
            if message["type"] == kind:
                return message
            self._require_no_refusal(message, kind)
        return None

    def _require_no_refusal(self, message: dict[str, Any], kind: str) -> None:
        if message["type"] == "error":
            if self._overtaken and message["code"] == "state":
                self._overtaken = False
                return
            said = message["message"]
            if message["code"] == "clock":
                said = f"your clock {compared(self._ahead_ms, 'the hub')}; set it, and try again ({said})"
            raise RefusedError(message["code"], said)
        if kind == "granted" and message["type"] == "faulted" and self._fault:
            raise RefusedError("faulted", f"the robot broke: {self._fault}; its owner can clear that")
        if kind == "ready" and message["type"] == "ended" and message["episode"] is None:
            why = f": {self._fault}" if self._fault else ""
            raise RefusedError(message["reason"], f"the episode did not begin{why}")
        if message["type"] in ("left", "closed"):
            raise RefusedError("left", f"waiting for {kind}: {message.get('reason')}")

    async def join(
        self, robot: str, task: str, *, queued: Callable[[int, int, int], None] | None = None
    ) -> dict[str, Any]:
        """Queue for a robot, and return `granted` when it is ours.

        With `queued`, which is told each position, the queue's length and the probable wait (s), wait without a limit.
        """
        grant = {
            "operator": self.wallet.address,
            "sessionKey": self.session_key.address,
            "robot": robot,
            "task": task,
            "nonce": self._nonce,
            "notAfterMs": now_ms() + SESSION_MS,
        }
        signature = SESSION_GRANT.sign(self.wallet, self.domain, grant)
        await self.send({"type": "join", "grant": grant, "signature": signature})

        def told(message: dict[str, Any]) -> None:
            if message["type"] == "cannot_check":
                self.unchecked = str(message["reason"])
            if queued is not None and message["type"] == "queued":
                queued(message["position"], message["length"], message["wait_s"])

        self.unchecked = None
        granted = await self.wait_for("granted", within_s=None if queued else ANSWER_S, told=told)
        self._hold(granted)
        return granted

    async def resume(self, lease: str, by: Said | None = None) -> dict[str, Any]:
        """Go on with a lease of this wallet whose connection was lost; return `resumed`. `armed` comes next.

        `by`: who or what drives on, as for `begin`. What is driven then is still signed by the session key of the
        driver that joined.
        """
        await self.send({"type": "resume", "lease": lease, "driver": msgspec.to_builtins(by or this_program())})
        resumed = await self.wait_for("resumed")
        self.resumed = True
        self._hold(resumed)
        return resumed

    def _hold(self, granted: dict[str, Any]) -> None:
        """Drive the robot of a lease that is ours from now on."""
        self._epoch, self._seq, self._answered = granted["epoch"], 0, 0
        self._sent[self._epoch] = bytearray()
        self.robot, self.task = granted["robot"], granted["task"]
        self._layout, offset = [], 0
        for array in granted["robot"]["observation"]:
            self._layout.append((array["name"], offset, tuple(array["shape"])))
            offset += int(np.prod(array["shape"]))

    async def begin(self, by: Said | None = None) -> dict[str, Any]:
        """Ask for an episode, and return `ready` when the scene is reset.

        `by`: who or what drives it, as its file will say; without it, a script: the program that runs.
        """
        said = by or this_program()
        await self.send({"type": "begin", "driver": msgspec.to_builtins(said)})
        ready = await self.wait_for("ready")
        self.said[ready["episode"]] = said
        return ready

    async def note(self, text: str) -> int:
        """Keep these words with the episode that is being recorded; return how many it has then."""
        await self.send({"type": "note", "text": text})
        return int((await self.wait_for("noted"))["notes"])

    async def finish(self, said: bool | None = None) -> dict[str, Any]:
        """End the episode, and return `ended`. `said`: the operator's word whether the task was done."""
        await self.send({"type": "finish"} if said is None else {"type": "finish", "said": said})
        ended = await self.wait_for("ended")
        self._overtaken = ended["reason"] != "finished"  # the hub may still say that there is nothing to finish
        return ended

    async def leave(self) -> None:
        """Release the dead-man and give back the robot, or the place in its queue."""
        await self.command(Mode.NEUTRAL)
        await self.send({"type": "leave"})
        await self.wait_for("left")

    async def clear(self, robot: str, stop: str) -> None:
        """Ask for the release of what is latched at a robot under that name, signed as its owner."""
        signature = CLEAR_ROBOT.sign(self.wallet, self.domain, {"robot": robot, "stop": stop})
        await self.send({"type": "clear", "robot": robot, "stop": stop, "signature": signature})

    async def command(
        self, mode: Mode, values: ArrayLike = (), *, dead_man: bool = False, intervention: bool = False
    ) -> int:
        """Send one command and return its number. Nothing moves a robot that obeys something else as well.

        `intervention`: a person gives it in place of a program.
        """
        sent = self._sent.setdefault(self._epoch, bytearray())
        before = bytes(sent[-DIGEST_BYTES:]) or FIRST
        self._seq += 1
        seen = self.state.seq if self.state and self.state.epoch == self._epoch else 0
        now_us = time.monotonic_ns() // 1000
        packed = np.asarray(values, dtype=np.float32)
        held = dead_man and not self._foreign
        marked = held and intervention
        data = Command(mode, held, self._epoch, self._seq, seen, now_us, packed, before, marked).encode()
        sent += digest_of(data)
        if self._socket is None or not self._socket.sent(data):
            await self._transmit(data)
        return self._seq

    def sent(self, epoch: int, seq: int) -> bytes | None:
        """Return `digest_of` the command that was sent under this number; None if none was sent in that epoch.

        It is empty if others were sent in that epoch.
        """
        found = self._sent.get(epoch)
        return None if found is None else bytes(found[DIGEST_BYTES * (seq - 1) : DIGEST_BYTES * seq])

    async def next_state(self) -> State:
        """Return the next state that comes."""
        state = await self.state_after(self.state, ANSWER_S)
        if state is None:
            raise RefusedError("timeout", f"nothing came from the robot for {ANSWER_S:.0f} s; its host may be gone")
        return state

    async def state_after(self, known: State | None, within_s: float) -> State | None:
        """Return the newest state as soon as it differs from `known`; None if none comes in time."""
        try:
            async with asyncio.timeout(within_s):
                while self.state is known:
                    self._require_open()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None
        self._require_open()
        return self.state

    async def armed(self) -> State:
        """Send released heartbeats until the robot is armed."""
        while True:
            await self.command(Mode.NEUTRAL)
            state = await self.next_state()
            if state.epoch == self._epoch and state.safety in (Safety.ARMED, Safety.HOLDING):
                return state
            if state.epoch == self._epoch and state.safety in (Safety.ESTOPPED, Safety.FAULTED):
                what = f"the robot broke: {self._fault}" if self._fault else "the robot is stopped"
                raise RefusedError(state.safety.name.lower(), f"{what}; its owner can clear that")

    def values(self, state: State) -> dict[str, Vector]:
        """Return a state's observation arrays by name, float64."""
        flat = state.values.astype(np.float64)
        return {
            name: flat[offset : offset + int(np.prod(shape))].reshape(shape) for name, offset, shape in self._layout
        }

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for frame in socket:
                if isinstance(frame, bytes):
                    self._take(State.decode(frame))
                else:
                    self._hear(json.loads(frame))
        except ConnectionClosed as closed:
            self._closed = str(closed)
        else:
            self._closed = f"code {socket.close_code} {socket.close_reason}"
        self._messages.put_nowait({"type": "closed", "reason": self._closed})
        self._news.set()

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] in ("faulted", "cleared"):
            self._fault = message.get("reason", "")
        if message["type"] == "camera_trouble":
            of_episode = self.cameras.setdefault(message["episode"], {})
            of_episode[message["camera"], message["trouble"]] = message
            if self.camera_told is not None:
                self.camera_told(message)
            return
        self._messages.put_nowait(message)

    def _take(self, state: State) -> None:
        if state.applied > self._answered and state.t_client_us:
            self._answered = state.applied
            self.round_trips_us.append(time.monotonic_ns() // 1000 - state.t_client_us)
        if state.epoch == self._epoch and state.applied and self.sent(state.epoch, state.applied) != state.commands:
            self._foreign = True
        self.state = state
        self._news.set()

    async def _transmit(self, frame: str | bytes) -> None:
        if self._socket is None:
            raise RefusedError("closed", "expected an open connection; use `async with Driver(...)`")
        try:
            await self._socket.send(frame)
        except ConnectionClosed as closed:
            raise RefusedError("closed", f"the hub closed the connection: {closed}") from closed

    def _require_open(self) -> None:
        if self._closed:
            raise RefusedError("closed", f"the hub closed the connection: {self._closed}")
        if self._foreign:
            what = "the robot obeyed a command that was not sent from here"
            raise RefusedError("other_commands", f"{what}; it was let go, and nothing of this drive is signed")
