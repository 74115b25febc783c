"""An operator as a program: signs in with a wallet, queues for a robot, drives it over the same wire as a browser."""

from __future__ import annotations

import asyncio
import json
import time
from types import TracebackType
from typing import Any, Final

import httpx
import numpy as np
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from numpy.typing import ArrayLike
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from sim.robot import Vector
from teleop.accounts import now_ms
from teleop.identity import SESSION_GRANT, Domain, new_key
from teleop.messages import JSON_BYTES_MAX, PROTOCOL, Command, Mode, Safety, State

SESSION_MS: Final = 3_600_000
ANSWER_S: Final = 30.0


class RefusedError(Exception):
    """The hub said no; `code` is the protocol's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Driver:
    """One operator's connection. Use as `async with Driver(url, wallet) as driver`."""

    def __init__(self, hub_url: str, wallet: LocalAccount) -> None:
        self.wallet, self.session_key = wallet, new_key()
        self.http = httpx.AsyncClient(base_url=hub_url, timeout=ANSWER_S, trust_env=False)
        self.config: dict[str, Any] = {}
        self.state: State | None = None
        self.round_trips_us: list[int] = []
        """From sending a command to the state that says it was applied, once for each command so answered."""
        self._ws_url = hub_url.rstrip("/").replace("http", "ws", 1) + "/ws/drive"
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._nonce = ""
        self._epoch = self._seq = self._answered = 0
        self.model = ""
        """The model of the robot that was granted."""
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
    def domain(self) -> Domain:
        """The hub's EIP-712 domain."""
        return Domain(self.config["chain_id"], self.config["vault"])

    async def _sign_in(self) -> None:
        self.config = await self.call("GET", "/api/config")
        asked = await self.call("POST", "/api/auth/challenge", {"address": self.wallet.address})
        signed = self.wallet.sign_message(encode_defunct(text=asked["message"]))
        proof = {"nonce": asked["nonce"], "signature": "0x" + bytes(signed.signature).hex()}
        token = (await self.call("POST", "/api/auth/verify", proof))["token"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        self._socket = await connect(self._ws_url, compression=None, max_size=JSON_BYTES_MAX, proxy=None)
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.send({"type": "hello", "protocol": PROTOCOL, "token": token})
        self._nonce = (await self.wait_for("welcome"))["nonce"]

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the HTTP API; raise RefusedError with the hub's own words where it says no."""
        answer = await self.http.request(method, path, json=body)
        if answer.is_error:
            said = answer.json().get("error", {}) if "json" in answer.headers.get("content-type", "") else {}
            raise RefusedError(said.get("code", str(answer.status_code)), said.get("message", answer.text))
        return answer.json()

    async def send(self, message: dict[str, Any]) -> None:
        """Send a control message."""
        await self._connected().send(json.dumps(message))

    async def wait_for(self, kind: str) -> dict[str, Any]:
        """Return the next control message of that type; raise RefusedError for an error or an ended lease."""
        async with asyncio.timeout(ANSWER_S):
            while (message := await self._messages.get())["type"] != kind:
                if message["type"] == "error":
                    raise RefusedError(message["code"], message["message"])
                if message["type"] in ("left", "closed"):
                    raise RefusedError("left", f"waiting for {kind}: {message.get('reason')}")
        return message

    async def join(self, robot: str, task: str) -> dict[str, Any]:
        """Queue for a robot, and return `granted` when it is ours."""
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
        granted = await self.wait_for("granted")
        self._epoch, self._seq, self._answered = granted["epoch"], 0, 0
        self.model = granted["robot"]["model"]
        self._layout, offset = [], 0
        for array in granted["robot"]["observation"]:
            self._layout.append((array["name"], offset, tuple(array["shape"])))
            offset += int(np.prod(array["shape"]))
        return granted

    async def begin(self) -> dict[str, Any]:
        """Ask for an episode, and return `ready` when the scene is reset."""
        await self.send({"type": "begin"})
        return await self.wait_for("ready")

    async def finish(self) -> dict[str, Any]:
        """End the episode, and return `ended`."""
        await self.send({"type": "finish"})
        return await self.wait_for("ended")

    async def command(self, mode: Mode, values: ArrayLike = (), *, dead_man: bool = False) -> int:
        """Send one command and return its number."""
        self._seq += 1
        seen = self.state.seq if self.state else 0
        now_us = time.monotonic_ns() // 1000
        packed = np.asarray(values, dtype=np.float32)
        command = Command(mode, dead_man, self._epoch, self._seq, seen, now_us, packed)
        await self._connected().send(command.encode())
        return self._seq

    async def next_state(self) -> State:
        """Return the next state that comes."""
        self._news.clear()
        async with asyncio.timeout(ANSWER_S):
            await self._news.wait()
        if self.state is None:
            raise RefusedError("closed", "the hub closed the connection before a state came")
        return self.state

    async def armed(self) -> State:
        """Send released heartbeats until the robot is armed."""
        while True:
            await self.command(Mode.NEUTRAL)
            state = await self.next_state()
            if state.epoch == self._epoch and state.safety in (Safety.ARMED, Safety.HOLDING):
                return state

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
                    self._messages.put_nowait(json.loads(frame))
        except ConnectionClosed as closed:
            self._messages.put_nowait({"type": "closed", "reason": str(closed)})
        else:
            self._messages.put_nowait({"type": "closed", "reason": f"code {socket.close_code} {socket.close_reason}"})
        self._news.set()

    def _take(self, state: State) -> None:
        if state.applied > self._answered and state.t_client_us:
            self._answered = state.applied
            self.round_trips_us.append(time.monotonic_ns() // 1000 - state.t_client_us)
        self.state = state
        self._news.set()

    def _connected(self) -> ClientConnection:
        if self._socket is None:
            raise RefusedError("closed", "expected an open connection; use `async with Driver(...)`")
        return self._socket
