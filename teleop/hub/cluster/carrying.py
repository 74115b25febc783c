"""People who come to a hub that is not the home of their robot are carried there: over a websocket between the hubs.

The home does everything: it grants, relays, and keeps the drive of who is away. Who carries reads a control message
only to see which robot it names, and copies all else unread: of commands and states the newest, as everywhere. So a
command goes from its operator to the robot's home over connections that both hubs have opened themselves, never over
a bus; and an operator's program, or page, need not know that there are several hubs.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Final

import msgspec
import structlog
from msgspec import Meta
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event
from websockets.protocol import State as Stage

from teleop.dialing import tls_of, websocket_url
from teleop.hub.cluster.said import Seal
from teleop.hub.leases.docks import Seat
from teleop.wire.frames import FRAME_MESSAGE_BYTES_MAX
from teleop.wire.messages import JSON_BYTES_MAX
from teleop.wire.outbox import Outbox
from teleop.wire.signalling import SignallingError

_log = structlog.get_logger()
DIAL_S: Final = 3.0
PASS: Final = "x-armshare-hub"
"""The header by which a hub proves to another that it is one of them."""
CLOCKS_MS: Final = 60_000
_PASSES_MAX: Final = 10_000
HOME_LOST: Final = 1012
"""The code by which a connection ends whose robot's home is gone: service restart. Whoever had it connects again."""


class PeerHello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first message from hub to hub: who is carried, and over which nonce their grants are signed."""

    token: Annotated[str, Meta(max_length=200)]
    """By which they have signed in; empty if they have not."""
    nonce: Annotated[str, Meta(pattern=r"^0x[0-9a-f]{64}$(?!\n)", max_length=66)]


HELLO: Final = msgspec.json.Decoder(PeerHello)


class _Tagged(msgspec.Struct, frozen=True):
    """The only part of a control message that is read on its way back."""

    type: str


_TAGGED: Final = msgspec.json.Decoder(_Tagged)


class PassError(Exception):
    """A connection is not one of another hub's."""


class Passes:
    """By what hubs know each other's connections: each is made for one hub and one moment, and good once."""

    def __init__(self, seal: Seal, me: str, now_ms: Callable[[], int]) -> None:
        self._seal, self._me, self._now_ms = seal, me, now_ms
        self._used: OrderedDict[str, None] = OrderedDict()

    def give(self, to: str) -> str:
        """Return a pass for a connection to another hub."""
        said = f"{to} {self._now_ms()} {secrets.token_hex(16)}"
        return f"{said} {self._seal.pass_of(said)}"

    def require(self, given: str) -> None:
        """Raise PassError unless it was made for this hub a moment ago, by a hub, and has not been used."""
        said, _, proof = given.rpartition(" ")
        to, _, rest = said.partition(" ")
        if not secrets.compare_digest(proof.encode(), self._seal.pass_of(said).encode()) or to != self._me:
            raise PassError("expected a connection of another hub of this platform, for this hub")
        if abs(int(rest.partition(" ")[0]) - self._now_ms()) > CLOCKS_MS:
            raise PassError("expected a connection that another hub opens now; compare the hubs' clocks")
        if said in self._used:
            raise PassError("expected a connection that another hub opens once")
        self._used[said] = None
        while len(self._used) > _PASSES_MAX:
            self._used.popitem(last=False)


class _Socket(ClientConnection):
    """A websocket to a home that hands on states as they come, and sends commands at once while they are read."""

    take: Callable[[bytes], None] | None = None

    def process_event(self, event: Event) -> None:
        if self.take is not None and isinstance(event, Frame) and event.opcode is Opcode.BINARY and event.fin:
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


class Link:
    """One seat's connection to a home."""

    def __init__(self, socket: _Socket, seat: Seat, left: Callable[[], None], lost: Callable[[], None]) -> None:
        """`left`: the seat is at no robot there any more; `lost`: the home has ended the connection, or is gone."""
        self._seat, self._left, self._lost = seat, left, lost
        self.outbox = Outbox(socket.sent)
        self._tasks = [
            asyncio.create_task(self._send(socket), name="carried to a home"),
            asyncio.create_task(self._receive(socket), name="carried from a home"),
        ]

    async def close(self) -> None:
        """End it: its robot's home takes that for the end of the connection of whoever is carried."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self, socket: _Socket) -> None:
        with suppress(ConnectionClosed):
            await self.outbox.drain(socket.send, socket.send)

    async def _receive(self, socket: _Socket) -> None:
        try:
            async for message in socket:
                text = message if isinstance(message, str) else message.decode()
                self._seat.outbox.signal(text)
                if _TAGGED.decode(text).type == "left":
                    self._left()
        except (ConnectionClosed, msgspec.DecodeError, UnicodeDecodeError):
            pass
        finally:
            await socket.close()
        self._lost()


async def linked(
    url: str, given: str, seat: Seat, token: str, left: Callable[[], None], lost: Callable[[], None]
) -> Link:
    """Return a connection to a home, for one seat; raise SignallingError if it does not answer."""
    hello = msgspec.json.encode(PeerHello(token, seat.nonce)).decode()
    where = websocket_url(url, "/ws/peer")

    try:
        socket = await connect(
            where,
            create_connection=_Socket,
            additional_headers={PASS: given},
            compression=None,
            open_timeout=DIAL_S,
            ping_interval=5.0,
            ping_timeout=5.0,
            close_timeout=1.0,
            max_size=4 * JSON_BYTES_MAX,
            proxy=None,
            ssl=tls_of(url),
        )
        if not isinstance(socket, _Socket):
            raise TypeError("expected the connection that was made")
        socket.take = seat.outbox.latest  # nothing comes before `hello`
        await socket.send(hello)
    except (OSError, TimeoutError, WebSocketException) as error:
        raise _away(error) from error
    return Link(socket, seat, left, lost)


async def spliced(socket: WebSocket, url: str, path: str, first: str | bytes, most: int) -> None:
    """Copy a camera's websocket to that of its robot's home, unread, until either ends; raise SignallingError.

    A message waits until its reader has taken the one before, so what is copied is bounded, and frames are dropped at
    the home, which knows how.
    """
    try:
        home = await connect(
            websocket_url(url, path),
            compression=None,
            open_timeout=DIAL_S,
            ping_interval=5.0,
            ping_timeout=5.0,
            close_timeout=1.0,
            max_size=FRAME_MESSAGE_BYTES_MAX,
            max_queue=2,
            proxy=None,
            ssl=tls_of(url),
        )
    except (OSError, TimeoutError, WebSocketException) as error:
        raise _away(error) from error
    async with home:
        with suppress(ConnectionClosed):
            await home.send(first)
            copies = {asyncio.create_task(_out(socket, home, most)), asyncio.create_task(_back(home, socket))}
            done, others = await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            for task in done:
                task.result()
    code = home.close_code
    await socket.close(code if code is not None and 3000 <= code < 5000 else 1000)


async def _out(socket: WebSocket, home: ClientConnection, most: int) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        frame: str | bytes = text if text is not None else message["bytes"]
        if len(frame) > most:
            raise SignallingError("too_large", f"expected at most {most} bytes a frame, got {len(frame)}")
        await home.send(frame)


async def _back(home: ClientConnection, socket: WebSocket) -> None:
    async for frame in home:
        if isinstance(frame, str):
            await socket.send_text(frame)
        else:
            await socket.send_bytes(frame)


def _away(error: Exception) -> SignallingError:
    _log.warning("a robot's home does not answer", error=str(error) or type(error).__name__)
    said = "the hub that has this robot does not answer; try again in a few seconds"
    return SignallingError("unavailable", said)
