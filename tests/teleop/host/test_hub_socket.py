"""A host's socket waits for no hub: what a slow one gets, what a silent one causes, and how either side ends it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection, serve

from sim.robot import Action
from teleop.host import hub_socket
from teleop.host.dial import dial
from teleop.host.hub_socket import UNREAD_BYTES_MAX
from teleop.host.loop import ControlLoop
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import Command, Mode
from tests.certificates import Certificates, make_certificates
from tests.teleop.host.wires import WAIT_S, Wire, server_context, wired
from tests.teleop.linked import Linked
from tests.teleop.sessions import GRANT, PANDA, Puppet

STATES = 400


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["plain", "tls"])
def wire(request, certificates):
    with wired(certificates if request.param == "tls" else None) as wire:
        yield wire


def state(number: int, size: int = 300) -> bytes:
    return struct.pack("<I", number).ljust(size, b"\1")


def number_of(frame: Frame) -> int:
    return int(struct.unpack_from("<I", frame.data)[0])


def hello(wire: Wire) -> None:
    """Begin, and read that on the hub's side."""
    wire.socket.begin("hello")
    assert wire.hub.frame().data == b"hello"


@pytest.mark.parametrize("size", [300, 5_000, 70_000])
def test_a_hub_that_is_slow_to_read_gets_whole_states_and_then_only_the_newest(wire, size):
    hello(wire)
    wire.start()
    for number in range(STATES):
        wire.socket.latest(state(number, size))
    wire.socket.signal("last")
    got = []
    while (frame := wire.hub.frame()).opcode is Opcode.BINARY:
        assert bytes(frame.data) == state(number_of(frame), size)
        got.append(number_of(frame))
    assert frame.data == b"last"
    begun = len(got)
    assert got == list(range(begun)), "what went out before the hub fell behind is all there, in order"
    assert begun < STATES - 1, "the system took everything: nothing had to wait"
    assert number_of(wire.hub.frame()) == STATES - 1
    wire.socket.latest(state(STATES))
    assert number_of(wire.hub.frame()) == STATES


def test_signals_come_whole_and_in_order_however_slow_the_hub(wire):
    hello(wire)
    wire.start()
    texts = [f"{number} ".ljust(2_000, "é") for number in range(100)]
    for number, text in enumerate(texts):
        wire.socket.latest(state(number))
        wire.socket.signal(text)
    got = []
    while len(got) < len(texts):
        frame = wire.hub.frame()
        if frame.opcode is Opcode.TEXT:
            got.append(bytes(frame.data).decode())
    assert got == texts


def test_what_was_said_before_hello_waits_for_it_and_only_the_newest_state(wire):
    wire.start()
    wire.socket.signal("stopped")
    for number in range(3):
        wire.socket.latest(state(number))
    wire.socket.signal("cleared")
    wire.socket.begin("hello")
    assert [bytes(wire.hub.frame().data) for _ in range(4)] == [b"hello", b"stopped", b"cleared", state(2)]


def test_a_hub_that_reads_nothing_is_dropped(wire):
    hello(wire)
    wire.start()
    for _ in range(2 * UNREAD_BYTES_MAX // 100_000):
        wire.socket.signal("x" * 100_000)
    closed = wire.next()
    assert isinstance(closed, ConnectionClosed)
    assert "unread" in str(closed.__cause__)


def test_messages_come_in_order_also_in_fragments(wire):
    wire.start()
    wire.hub.protocol.send_text("b\xe9".encode()[:2], fin=False)
    wire.hub.protocol.send_ping(b"between")
    wire.hub.protocol.send_continuation("b\xe9".encode()[2:], fin=False)
    wire.hub.protocol.send_continuation(b"!", fin=True)
    wire.hub.send()
    wire.hub.binary(b"whole")
    wire.hub.protocol.send_binary(b"in ", fin=False)
    wire.hub.protocol.send_continuation(b"two", fin=True)
    wire.hub.send()
    wire.hub.text("y" * 100_000)
    assert [wire.next() for _ in range(4)] == ["b\xe9!", b"whole", b"in two", "y" * 100_000]
    assert wire.hub.frame() == Frame(Opcode.PONG, b"between")


def test_binary_messages_are_taken_by_the_reading_thread_if_somebody_takes_them(wire):
    taken, threads = [], []
    wire.socket.take = lambda data: (taken.append(data), threads.append(threading.current_thread()))
    wire.start()
    wire.hub.binary(b"one")
    wire.hub.protocol.send_binary(b"t", fin=False)
    wire.hub.protocol.send_continuation(b"wo", fin=True)
    wire.hub.send()
    wire.hub.text("and this is yielded")
    assert wire.next() == "and this is yielded"
    assert taken == [b"one", b"two"]
    assert set(threads) == {wire._reading}


@dataclass
class Stuck(Puppet):
    """A robot whose bus hangs in its first action."""

    stuck: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)

    def send_action(self, action: Action) -> Action:
        """Hang."""
        self.stuck.set()
        self.free.wait(WAIT_S)
        return super().send_action(action)


def test_a_command_is_stamped_when_it_comes_even_if_the_control_loop_stands_still(wire):
    """Otherwise a backlog would look fresh to the watchdog, or fresh commands would look stale."""
    robot, came = Stuck(PANDA), threading.Semaphore(0)
    loop = ControlLoop(robot, "0xC", "stuck", Events(), lambda data: came_back.append(data), lambda _report: None)
    came_back: list[bytes] = []

    def take(data: bytes) -> None:
        loop.offer(data)
        came.release()

    wire.socket.take = take
    wire.start()

    linked = Linked()

    def command(seq: int, *, pressed: bool) -> None:
        mode, values = (Mode.EE_TWIST, [0.01, 0, 0, 0, 0, 0, 1]) if pressed else (Mode.NEUTRAL, [])
        asked = Command(mode, pressed, 1, seq, 0, time.monotonic_ns() // 1000, np.array(values, np.float32))
        wire.hub.binary(linked(asked))
        assert came.acquire(timeout=WAIT_S)

    loop.start()
    try:
        loop.order(signalling.LeaseOrder("L", 1, "0xA", GRANT, "0x", "lift"))
        loop.order(signalling.BeginOrder("E", 1, "0x01", PERSON))
        seq = 0
        while not robot.stuck.wait(0.03):
            seq += 1
            command(seq, pressed=bool(came_back))
        loop._session._commands.waiting.clear()
        before_ns = time.monotonic_ns()
        command(seq + 1, pressed=True)
        after_ns = time.monotonic_ns()
        (_, arrived_ns), *others = loop._session._commands.waiting
        assert not others
        assert before_ns <= arrived_ns <= after_ns
    finally:
        robot.free.set()
        loop.stop()


def test_what_another_thread_says_goes_out_while_the_reading_thread_waits(wire):
    """So does what the supervisor says of a control loop that stands still."""
    hello(wire)
    wire.start()
    wire.hub.text("read this")
    assert wire.next() == "read this"
    speaking = threading.Thread(target=wire.socket.signal, args=("it has stalled",))
    speaking.start()
    assert wire.hub.frame().data == b"it has stalled"
    speaking.join()


def test_the_hubs_pings_are_answered_and_its_answers_keep_the_connection(certificates):
    with wired(certificates, ping_s=0.05) as wire:
        hello(wire)
        wire.start()
        wire.hub.protocol.send_ping(b"anyone?")
        wire.hub.send()
        pings, frames = 0, []
        while pings < 4:
            frames.append(wire.hub.frame())
            pings += frames[-1].opcode is Opcode.PING
        assert Frame(Opcode.PONG, b"anyone?") in frames
        assert wire.got.empty()


@pytest.mark.parametrize("lies", [False, True])
def test_a_hub_that_answers_no_ping_is_noticed(lies):
    with wired(ping_s=0.05) as wire:
        wire.start()
        if lies:
            wire.hub.protocol.send_pong(b"to what nobody asked")
            wire.hub.send()
        closed = wire.next()
        assert isinstance(closed, ConnectionClosed)
        assert "did not answer a ping" in str(closed.__cause__)
        ping, farewell = wire.hub.frame(), wire.hub.frame()
        assert (ping.opcode, farewell.opcode) == (Opcode.PING, Opcode.CLOSE)


def test_a_hub_that_closes_is_answered_and_says_why(wire):
    wire.start()
    wire.hub.protocol.send_close(4401, "who are you?")
    wire.hub.send()
    assert wire.hub.frame().opcode is Opcode.CLOSE
    wire.hub.vanish()
    closed = wire.next()
    assert isinstance(closed, ConnectionClosed)
    assert (closed.rcvd.code, closed.rcvd.reason) == (4401, "who are you?")


def test_a_hub_that_vanishes_is_noticed_and_nothing_more_is_written(wire):
    hello(wire)
    wire.start()
    wire.hub.vanish()
    closed = wire.next()
    assert isinstance(closed, ConnectionClosed)
    assert closed.rcvd is None
    wire.socket.latest(state(1))
    wire.socket.signal("anyone?")
    wire.socket.finish()
    wire.socket.latest(state(2))
    wire.socket.signal("anyone?")


@pytest.mark.parametrize("wrong", ["text", "frame", "size"])
def test_what_breaks_the_protocol_ends_the_connection_with_its_code(wire, wrong):
    codes = {"text": CloseCode.INVALID_DATA, "frame": CloseCode.PROTOCOL_ERROR, "size": CloseCode.MESSAGE_TOO_BIG}
    wire.start()
    if wrong == "text":
        wire.hub.protocol.send_text(b"\xff\xfe")
    elif wrong == "frame":
        wire.hub.protocol.writes.append(b"\x83\x00")  # an opcode that there is none of
    else:
        wire.hub.protocol.send_text(b"x" * ((1 << 18) + 1))
    wire.hub.send()
    farewell = wire.hub.frame()
    assert farewell.opcode is Opcode.CLOSE
    assert struct.unpack_from("!H", farewell.data)[0] == codes[wrong]
    wire.hub.vanish()
    assert isinstance(wire.next(), ConnectionClosed)


def test_we_close_with_a_word_and_wait_for_the_hubs(wire):
    hello(wire)
    finishing = threading.Thread(target=wire.socket.finish)
    finishing.start()
    farewell = wire.hub.frame()
    assert (farewell.opcode, farewell.data) == (Opcode.CLOSE, struct.pack("!H", 1000))
    assert finishing.is_alive()
    wire.hub.vanish()
    finishing.join(WAIT_S)
    assert not finishing.is_alive()


def test_closing_from_another_thread_ends_the_reading(wire):
    wire.start()
    wire.socket.close()
    wire.socket.close()
    assert wire.hub.frame().opcode is Opcode.CLOSE
    wire.hub.vanish()
    assert isinstance(wire.next(), ConnectionClosed)


def test_a_hub_that_does_not_close_is_not_waited_for(wire, monkeypatch):
    monkeypatch.setattr(hub_socket, "CLOSE_S", 0.05)
    hello(wire)
    wire.start()
    wire.socket.close()
    closed = wire.next()
    assert isinstance(closed, ConnectionClosed)
    assert "did not close" in str(closed.__cause__)


# --- dialling


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@contextmanager
def served(**how: object) -> Iterator[str]:
    """Serve on this machine what sends everything back; yield its host and port."""
    with serve(echo, "127.0.0.1", 0, **how) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"localhost:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=["plain", "tls"])
def server(request, certificates):
    context = server_context(certificates) if request.param == "tls" else None
    with served(ssl=context, compression=None) as place:
        yield place


def test_a_dialled_socket_talks_to_a_real_server(request, server, certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    scheme = "wss" if "tls" in request.node.callspec.id else "ws"
    connected = dial(f"{scheme}://{server}/", 1 << 18, WAIT_S)
    assert connected.protocol.state is State.OPEN
    assert connected.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert scheme == "ws" or connected.socket.cipher()
    talking = hub_socket.HubSocket(connected, 100.0)
    texts = ["x" * size for size in (1, 125, 126, 70_000, 200_000)]
    talking.begin("hello")
    for text in texts:
        talking.signal(text)
    talking.latest(state(7))
    messages = iter(talking)
    assert [next(messages) for _ in range(7)] == ["hello", *texts, state(7)]
    talking.finish()


def test_a_hub_without_a_certificate_that_we_trust_is_not_talked_to(certificates):
    with (
        served(ssl=server_context(certificates)) as place,
        pytest.raises(OSError, match="certificate verify failed"),
    ):
        dial(f"wss://{place}/", 1 << 18, WAIT_S)


def test_a_server_that_is_no_hub_is_refused_by_its_answer():
    refusing = served(process_request=lambda one, _: one.respond(404, "no such page"))
    with refusing as place, pytest.raises(InvalidStatus, match="404"):
        dial(f"ws://{place}/", 1 << 18, WAIT_S)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_server_that_says_nothing_is_not_waited_for(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        dial(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/", 1 << 18, 0.1)


def test_a_server_that_hangs_up_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hanging = threading.Thread(target=lambda: listener.accept()[0].close())
        hanging.start()
        with pytest.raises((InvalidMessage, ConnectionError)):
            dial(f"ws://127.0.0.1:{listener.getsockname()[1]}/", 1 << 18, WAIT_S)
        hanging.join()


def test_a_message_that_comes_with_the_handshakes_answer_is_not_lost():
    def hub() -> None:
        connection = listener.accept()[0]
        protocol = ServerProtocol()
        while not (events := protocol.events_received()):
            protocol.receive_data(connection.recv(4096))
        request = events[0]
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        protocol.send_text(b"challenge")
        connection.sendall(b"".join(protocol.data_to_send()))
        connection.recv(4096)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=hub)
        serving.start()
        talking = hub_socket.HubSocket(dial(f"ws://127.0.0.1:{listener.getsockname()[1]}/", 1 << 18, WAIT_S), 100.0)
        assert next(iter(talking)) == "challenge"
        talking.finish()
        serving.join()
