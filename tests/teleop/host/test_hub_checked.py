"""A host believes no hub: it checks each grant itself, and asks again and again whether the hub is still there."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

from teleop.host import link
from teleop.host.link import Host
from teleop.identity import SESSION_GRANT, Domain, new_key
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.messages import PROTOCOL
from teleop.wire.outbox import Outbox
from teleop.wire.signalling import Grant
from tests.teleop.hub.bench import DOMAIN, HOUR_MS
from tests.teleop.sessions import PANDA, Puppet

NOW_MS = 1_700_000_000_000


class Desk:
    """A host without a socket, and what it does with the hub's orders."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(link, "now_ms", lambda: NOW_MS)
        self.key, self.wallet = new_key(), new_key()
        self.host = Host("http://hub", self.key, "bench", Puppet(PANDA), Events(), ())
        self.obeyed: list[signalling.Message] = []
        monkeypatch.setattr(self.host.loop, "order", self.obeyed.append)

    def order(self, **changed: object) -> signalling.LeaseOrder:
        """Return a lease over a grant by the wallet, with some of the grant's fields changed, signed as it then is."""
        values = {
            "operator": self.wallet.address,
            "session_key": new_key().address,
            "robot": self.key.address,
            "task": "lift",
            "nonce": "0x" + "01" * 32,
            "not_after_ms": NOW_MS + HOUR_MS,
        }
        grant = Grant(**{**values, **changed})
        signature = SESSION_GRANT.sign(self.wallet, DOMAIN, grant.values)
        return signalling.LeaseOrder("L", 7, grant.operator, grant, signature, grant.task)

    def says(self, order: signalling.LeaseOrder, domain: Domain = DOMAIN) -> str | None:
        """Give the host that order; return why it refuses, None if it obeys."""
        said: list[str] = []
        outbox = Outbox()
        outbox.signal = said.append
        self.obeyed.clear()
        self.host._obey(order, domain, outbox)
        if not said:
            assert self.obeyed == [order]
            return None
        assert self.obeyed == []
        refused = signalling.from_host(said[0])
        assert isinstance(refused, signalling.Refused)
        assert refused.lease == order.lease
        return refused.reason


@pytest.fixture
def desk(monkeypatch) -> Desk:
    return Desk(monkeypatch)


def test_a_lease_over_a_grant_of_its_operator_for_this_robot_and_task_is_obeyed(desk):
    assert desk.says(desk.order()) is None
    assert desk.says(desk.order(not_after_ms=NOW_MS)) is None


def test_a_lease_that_its_operator_did_not_grant_is_refused_and_never_reaches_the_robot(desk):
    good, other = desk.order(), new_key()
    forged = SESSION_GRANT.sign(other, DOMAIN, good.grant.values)
    for order, why in (
        (desk.order(robot=other.address), "expected a grant for"),
        (msgspec.structs.replace(good, operator=other.address), "expected a grant for"),
        (desk.order(task="push"), "expected the task"),
        (msgspec.structs.replace(good, task="push"), "expected the task"),
        (desk.order(not_after_ms=NOW_MS - 1), "not run out"),
        (msgspec.structs.replace(good, signature=forged), "expected"),
        (msgspec.structs.replace(good, signature="0x"), "expected"),
        (msgspec.structs.replace(good, grant=msgspec.structs.replace(good.grant, nonce="0x" + "02" * 32)), "expected"),
        (desk.order(operator=other.address), "expected"),
    ):
        reason = desk.says(order)
        assert reason is not None
        assert why in reason
    for domain in (Domain(1, DOMAIN.vault), Domain(DOMAIN.chain_id, new_key().address)):
        assert desk.says(good, domain) is not None, "a grant for another chain or vault"


@pytest.mark.anyio
async def test_a_host_pings_its_hub(monkeypatch):
    monkeypatch.setattr(link, "PING_S", 0.05)
    pinged = asyncio.Event()

    class Hub(ServerConnection):
        def process_event(self, event: object) -> None:
            if isinstance(event, Frame) and event.opcode is Opcode.PING:
                pinged.set()
            super().process_event(event)

    async def silent(socket: ServerConnection) -> None:
        challenge = signalling.Challenge(PROTOCOL, "0x" + "07" * 32, DOMAIN.chain_id, DOMAIN.vault)
        await socket.send(signalling.encode(challenge))
        await socket.wait_closed()

    async with serve(silent, "127.0.0.1", 0, create_connection=Hub, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        host = Host(f"http://127.0.0.1:{port}", new_key(), "bench", Puppet(PANDA), Events(), ())
        serving = asyncio.create_task(host.serve())
        try:
            async with asyncio.timeout(20):
                await pinged.wait()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.anyio
async def test_a_host_whose_hub_answers_no_ping_lets_go_and_dials_again(monkeypatch):
    """A hub that is gone without a word: its packets come no more, and its connection is never closed."""
    monkeypatch.setattr(link, "PING_S", 0.05)
    monkeypatch.setattr(link, "_BACKOFF_S", (0.0,))
    monkeypatch.setattr(link, "connect", partial(link.connect, close_timeout=0.05))
    again = asyncio.Event()
    connections = 0

    class Deaf(ServerConnection):
        def data_received(self, data: bytes) -> None:
            if not self.handshook:
                self.handshook = b"\r\n\r\n" in data
                super().data_received(data)

        handshook = False

    async def silent(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections == 2:
            again.set()
        challenge = signalling.Challenge(PROTOCOL, "0x" + "07" * 32, DOMAIN.chain_id, DOMAIN.vault)
        await socket.send(signalling.encode(challenge))
        await again.wait()

    options = {"create_connection": Deaf, "ping_interval": None, "close_timeout": 0.01}
    async with serve(silent, "127.0.0.1", 0, **options) as server:
        port = server.sockets[0].getsockname()[1]
        host = Host(f"http://127.0.0.1:{port}", new_key(), "bench", Puppet(PANDA), Events(), ())
        serving = asyncio.create_task(host.serve())
        try:
            async with asyncio.timeout(20):
                await again.wait()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
