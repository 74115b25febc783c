"""The hub's websockets: operators, hosts, and both ends of a camera. Each is read here, as fast as is allowed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from teleop.hub.accounts import NotSignedInError
from teleop.hub.cluster.carrying import HELLO, PASS, PassError, spliced
from teleop.hub.cluster.cluster import Carried
from teleop.hub.driving import Driving
from teleop.hub.hub import ANYBODY, Hub
from teleop.hub.leases.docks import Dock, Seat
from teleop.hub.robots.cameras import Viewer
from teleop.hub.robots.registry import UnknownRobotAddressError
from teleop.hub.server.allowance import Allowance
from teleop.hub.server.serving import framed, framed_socket
from teleop.identity import SignatureError
from teleop.wire import signalling
from teleop.wire.frames import FRAME_MESSAGE_BYTES_MAX, Seen
from teleop.wire.messages import JSON_BYTES_MAX, PROTOCOL, WireError
from teleop.wire.outbox import Outbox
from teleop.wire.signalling import SignallingError

_log = structlog.get_logger()
HELLO_S: Final = 5.0
COMMANDS_PER_S: Final = 250
"""Commands from one client above this rate are dropped and counted."""
CONTROLS_PER_S: Final = 50
"""The same for control frames, apart, so that no flood of commands loses a stop."""
SEEN_PER_S: Final = 250
"""Answers to camera frames."""
TROUBLES_PER_S: Final = 50
"""Of one host's cameras; more are dropped and counted, as who drives is told of each."""
_DRAINED: Final = 8
"""A flood is read, and dropped, at up to this many times the allowed rate; the rest waits at its sender."""
_TOO_OLD: Final = (
    "expected a host that records which scoring rules an episode is paid by, got an older one, whose episodes would "
    "all be refused; update armshare on the robot's computer"
)
CLOSE: Final = {"protocol": 4400, "auth": 4401, "too_large": 1009}


def add_sockets(routes: APIRouter, driving: Driving) -> None:
    """Add the routes over websockets."""

    @routes.websocket("/ws/drive")
    async def drive(socket: WebSocket) -> None:
        await _served(socket, lambda outbox: _operator(driving, socket, outbox))

    @routes.websocket("/ws/host")
    async def host(socket: WebSocket) -> None:
        await _served(socket, lambda outbox: _host(driving, socket, outbox))

    @routes.websocket("/ws/camera")
    async def camera(socket: WebSocket) -> None:
        await _served(socket, lambda _outbox: _viewer(driving, socket))

    @routes.websocket("/ws/host/camera")
    async def host_camera(socket: WebSocket) -> None:
        await _served(socket, lambda _outbox: _host_camera(driving, socket))

    @routes.websocket("/ws/peer")
    async def peer(socket: WebSocket) -> None:
        await _served(socket, lambda outbox: _peer(driving, socket, outbox))


async def _served(socket: WebSocket, serve: Callable[[Outbox], Awaitable[None]]) -> None:
    """Run one socket: `serve` reads it, and a task of its own sends what the outbox cannot send at once."""
    await socket.accept()
    peer = framed_socket(socket.scope)

    def direct(data: bytes) -> bool:
        if peer.free:
            peer.write(framed(data))
            return True
        return False

    outbox = Outbox(direct)
    sender = asyncio.create_task(_send(socket, outbox))
    try:
        await serve(outbox)
    except SignallingError as error:
        outbox.signal(signalling.error(error.code, str(error)))
        outbox.close(CLOSE.get(error.code, 4400))
        await sender
    except (WebSocketDisconnect, TimeoutError):
        pass
    finally:
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)


async def _send(socket: WebSocket, outbox: Outbox) -> None:
    try:
        await outbox.drain(socket.send_text, socket.send_bytes)
        await socket.close(outbox.close_code)
    except (WebSocketDisconnect, RuntimeError):
        return  # the peer is gone; the task that reads the socket finds out


async def _frame(socket: WebSocket, most: int = JSON_BYTES_MAX) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    frame: str | bytes = text if text is not None else message["bytes"]
    if len(frame) > most:
        raise SignallingError("too_large", f"expected at most {most} bytes a frame, got {len(frame)}")
    return frame


async def _first(socket: WebSocket) -> str | bytes:
    async with asyncio.timeout(HELLO_S):
        return await _frame(socket)


async def _operator(driving: Driving, socket: WebSocket, outbox: Outbox) -> None:
    hub = driving.hub
    frame = await _first(socket)
    signalling.require_protocol(frame, "reload the page, or update the client")
    hello = signalling.from_operator(frame)
    if not isinstance(hello, signalling.Hello):
        raise SignallingError("protocol", "expected hello as the first message")
    try:
        address = await asyncio.to_thread(driving.accounts.address_of, hello.token) if hello.token else ANYBODY
    except NotSignedInError as error:
        raise SignallingError("auth", str(error)) from error
    seat = hub.sit(address, outbox)
    carried = driving.cluster.carried(seat, hello.token) if driving.cluster else None
    try:
        await _operator_frames(hub, seat, socket, outbox, carried)
    finally:
        hub.stand(seat)
        if carried is not None:
            await carried.close()


async def _peer(driving: Driving, socket: WebSocket, outbox: Outbox) -> None:
    """Serve an operator whom another hub carries here: what they may do is decided here, as if they had come."""
    hub = driving.hub
    try:
        if driving.cluster is None:
            raise PassError("this hub is the only one")
        driving.cluster.passes.require(socket.headers.get(PASS, ""))
        hello = HELLO.decode(await _first(socket))
        address = await asyncio.to_thread(driving.accounts.address_of, hello.token) if hello.token else ANYBODY
    except (PassError, NotSignedInError, msgspec.DecodeError, ValueError) as error:
        raise SignallingError("auth", str(error)) from error
    hub.counts["carried"] += 1
    seat = hub.sit(address, outbox, hello.nonce)
    try:
        await _operator_frames(hub, seat, socket, outbox, None)
    finally:
        hub.stand(seat)


async def _operator_frames(hub: Hub, seat: Seat, socket: WebSocket, outbox: Outbox, carried: Carried | None) -> None:
    commands, controls = Allowance(COMMANDS_PER_S), Allowance(CONTROLS_PER_S)

    def command(data: bytes) -> bool:
        """Relay a command as it comes: a task for each would cost more than the relay."""
        if len(data) > JSON_BYTES_MAX or not commands.take():
            return False
        relay(data)
        return True

    def relay(data: bytes) -> None:
        if carried is None or not carried.command(data):
            hub.command(seat, data)

    framed_socket(socket.scope).read = command
    while True:
        frame = await _frame(socket)
        allowance = commands if isinstance(frame, bytes) else controls
        if not allowance.take():
            await _slow(hub, frame, allowance, outbox)
        elif isinstance(frame, bytes):
            relay(frame)
        else:
            await _serve_control(hub, seat, frame, outbox, carried)


async def _slow(hub: Hub, frame: str | bytes, allowance: Allowance, outbox: Outbox) -> None:
    """Drop a frame of a flood, and read no more for a while: that slows only its sender."""
    if isinstance(frame, bytes):
        hub.counts["commands_flood"] += 1
    else:
        hub.counts["controls_flood"] += 1
        outbox.signal(
            signalling.error("flood", f"expected at most {allowance.per_s} frames a second; this one is lost")
        )
    await asyncio.sleep(1.0 / (_DRAINED * allowance.per_s))


async def _serve_control(hub: Hub, seat: Seat, frame: str, outbox: Outbox, carried: Carried | None) -> None:
    try:
        message = signalling.from_operator(frame)
        if carried is None or not await carried.serve(message, frame):
            await hub.from_operator(seat, message)
    except SignallingError as error:
        hub.counts[f"controls_{error.code}"] += 1
        if error.code in CLOSE:
            raise
        outbox.signal(signalling.error(error.code, str(error)))


async def _host(driving: Driving, socket: WebSocket, outbox: Outbox) -> None:
    hub, domain = driving.hub, driving.domain
    challenge = "0x" + secrets.token_hex(32)
    outbox.signal(signalling.encode(signalling.Challenge(PROTOCOL, challenge, domain.chain_id, domain.vault)))
    frame = await _first(socket)
    signalling.require_protocol(frame, "update the host")
    hello = signalling.from_host(frame)
    if not isinstance(hello, signalling.HostHello):
        raise SignallingError("protocol", "expected hello as the first message")
    if not hello.takes_rules:
        raise SignallingError("protocol", _TOO_OLD)
    try:
        dock = await hub.dock(hello, challenge, outbox)
    except (SignatureError, UnknownRobotAddressError, msgspec.ValidationError) as error:
        raise SignallingError("auth", str(error)) from error
    try:
        await _host_frames(hub, dock, socket)
    finally:
        hub.undock(dock)


async def _host_frames(hub: Hub, dock: Dock, socket: WebSocket) -> None:
    def state(data: bytes) -> bool:
        """Relay a state as it comes, as with commands."""
        if len(data) > JSON_BYTES_MAX:
            return False
        hub.from_robot(dock, data)
        return True

    framed_socket(socket.scope).read = state
    troubles, others = Allowance(TROUBLES_PER_S), Allowance(CONTROLS_PER_S)
    while True:
        frame = await _frame(socket)
        if isinstance(frame, bytes):
            hub.from_robot(dock, frame)
            continue
        message = _from_host(hub, dock, frame)
        if isinstance(message, signalling.CameraTroubled) and not troubles.take():
            hub.counts["hosts_flood"] += 1
            await asyncio.sleep(1.0 / (_DRAINED * TROUBLES_PER_S))
            continue
        if message is not None:
            _serve_host(hub, dock, message)
        if not isinstance(message, signalling.CameraTroubled) and not others.take():
            await asyncio.sleep(1.0 / (_DRAINED * CONTROLS_PER_S))  # nothing else is dropped: it may be a stop


def _from_host(hub: Hub, dock: Dock, frame: str) -> signalling.FromHost | None:
    """Return what a host says; None, counted and logged, if it is nothing that a host may say."""
    try:
        return signalling.from_host(frame)
    except SignallingError as error:
        _refuse(hub, dock, error)
        return None


def _serve_host(hub: Hub, dock: Dock, message: signalling.FromHost) -> None:
    try:
        hub.from_host(dock, message)
    except SignallingError as error:
        _refuse(hub, dock, error)


def _refuse(hub: Hub, dock: Dock, error: SignallingError) -> None:
    hub.counts[f"hosts_{error.code}"] += 1
    _log.warning("a host's message was refused", robot=dock.address, error=str(error))


async def _viewer(driving: Driving, socket: WebSocket) -> None:
    frame = await _first(socket)
    signalling.require_protocol(frame, "reload the page, or update the client")
    look = signalling.from_viewer(frame)
    try:
        wallet = await asyncio.to_thread(driving.accounts.address_of, look.token)
    except NotSignedInError as error:
        raise SignallingError("auth", str(error)) from error
    if driving.cluster is not None and (home := driving.cluster.home(look.robot)) is not None:
        await spliced(socket, home.url, "/ws/camera", frame, JSON_BYTES_MAX)
        return
    await driving.hub.require_watchable(driving.hub.online(look.robot), wallet)
    cameras = driving.hub.online(look.robot).cameras
    viewer = cameras.join(look.camera, look.codecs)
    try:
        await socket.send_text(signalling.encode(signalling.Looking(look.camera, viewer.stream.name)))
        peer, allowance = framed_socket(socket.scope), Allowance(SEEN_PER_S)
        peer.read = lambda data: len(data) <= JSON_BYTES_MAX and allowance.take() and _seen(driving.hub, viewer, data)
        viewer.start(peer)
        reading, gone = (
            asyncio.create_task(_read_others(driving.hub, socket)),
            asyncio.create_task(viewer.gone.wait()),
        )
        done, others = await asyncio.wait((reading, gone), return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if reading in done:
            reading.result()
        raise SignallingError("robot_offline", "expected a robot that is online; its host is gone, look again later")
    finally:
        cameras.leave(viewer)


def _seen(hub: Hub, viewer: Viewer, data: bytes) -> bool:
    """Take a viewer's answer as it comes: a task for each would cost more than the answer."""
    try:
        viewer.seen(Seen.decode(data))
    except WireError:
        hub.counts["seen_malformed"] += 1
    return True


async def _read_others(hub: Hub, socket: WebSocket) -> None:
    """Drop what is not a valid answer, and answers above the allowed rate: those are read slowly."""
    while True:
        frame = await _frame(socket)
        hub.counts["seen_flood" if isinstance(frame, bytes) else "seen_malformed"] += 1
        await asyncio.sleep(1.0 / (_DRAINED * SEEN_PER_S))


async def _host_camera(driving: Driving, socket: WebSocket) -> None:
    """Relay a host's frames, and answer each."""
    frame = await _first(socket)
    signalling.require_protocol(frame, "update the host")
    try:
        robot = await asyncio.to_thread(driving.robot_of, signalling.from_camera(frame).token)
    except NotSignedInError as error:
        raise SignallingError("auth", str(error)) from error
    if driving.cluster is not None and (home := driving.cluster.home(robot)) is not None:
        await spliced(socket, home.url, "/ws/host/camera", frame, FRAME_MESSAGE_BYTES_MAX)
        return
    dock = driving.hub.uploader(signalling.from_camera(frame).token)
    if dock is None:
        raise SignallingError("auth", "expected the token of the robot's present connection")
    while driving.hub.docks.get(dock.address) is dock:
        data = _bytes(await _frame(socket, FRAME_MESSAGE_BYTES_MAX))
        try:
            answer = dock.cameras.frame(data)
        except WireError:
            driving.hub.counts["frames_malformed"] += 1
            continue
        driving.hub.counts["frames"] += 1
        if answer is not None:
            await socket.send_bytes(answer.encode())
    raise SignallingError("auth", "expected the token of the robot's present connection")


def _bytes(frame: str | bytes) -> bytes:
    return frame if isinstance(frame, bytes) else b""
