"""Promises of a private robot: its owner decides before a drive, a ticket fixes it, and strangers see nothing live."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import httpx
import pytest
from eth_account.signers.local import LocalAccount

from teleop.hub.hub import ANYBODY
from teleop.hub.tables import Account, Token
from teleop.identity import SESSION_GRANT, new_key
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.signalling import Grant, SignallingError
from tests.teleop.hub.bench import DOMAIN, HOUR_MS, Bench, Ear, descriptor
from tests.teleop.hub.routes import Routes
from tests.teleop.registering import register

pytestmark = pytest.mark.anyio
FAR_MS = 10**14


class Place:
    """Routes with a robot, its owner, and a stranger, each signed in by the name of its token."""

    def __init__(self, folder: Path) -> None:
        self.routes = Routes(folder)
        self.robot, self.wallets = new_key(), {name: new_key() for name in ("owner", "stranger")}
        register(self.routes.registry, self.wallets["owner"], self.robot, name="arm")
        with self.routes.database() as db, db.begin():
            for name, wallet in self.wallets.items():
                db.add(Account(address=wallet.address, created_ms=1))
                db.flush()
                sha256 = hashlib.sha256(name.encode()).hexdigest()
                db.add(Token(sha256=sha256, address=wallet.address, expires_ms=FAR_MS))

    @property
    def path(self) -> str:
        return f"/api/robots/{self.robot.address}/privacy"

    async def put(self, who: str = "owner", **said: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        return await self.routes.http.put(self.path, json=said, headers=headers)

    async def code(self, who: str = "owner", **said: object) -> tuple[int, str]:
        answer = await self.put(who, **said)
        return answer.status_code, answer.json()["error"]["code"]

    def grant(self, wallet: LocalAccount, nonce: str) -> Grant:
        same = (wallet.address, wallet.address, self.robot.address, "lift", nonce)
        return Grant(*same, self.routes.hub._now_ms() + HOUR_MS)

    def ticket(self) -> bool | None:
        """Return whether a ticket that is issued now is private."""
        registry, wallet = self.routes.registry, self.wallets["stranger"]
        grant = self.grant(wallet, "0x" + "00" * 32)
        lease = registry.open_lease(new_key().address[2:34], grant, "0x")
        issued = registry.issue_ticket(lease, "lift", descriptor(), PERSON)
        found = registry.ticket(issued.episode)
        assert found is not None
        return found.row.private


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


class Told(Ear):
    """An ear that waits for a message."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.came = kind, asyncio.Event()

    def signal(self, text: str) -> None:
        super().signal(text)
        if self.said[-1]["type"] == self.kind:
            self.came.set()


async def test_an_owner_decides_and_everybody_sees_it(place: Place) -> None:
    assert (await place.routes.http.get(place.path)).json()["private"] is False
    reader = new_key().address
    answer = await place.put(private=True, readers=[reader, reader])
    said = {"robot": place.robot.address, "private": True, "readers": [reader]}
    assert answer.json() == said
    assert (await place.routes.http.get(place.path)).json() == said
    cards = (await place.routes.http.get("/api/robots")).json()
    assert [card["private"] for card in cards] == [True]
    assert (await place.put(private=True, readers=[])).json()["readers"] == []


async def test_nobody_else_decides_and_what_is_no_address_reads_nothing(place: Place) -> None:
    assert await place.code("stranger", private=True) == (403, "not_owner")
    assert await place.code("", private=True) == (401, "auth")
    assert await place.code(private=True, readers=["0xnobody"]) == (422, "address")
    assert await place.code(private="yes") == (422, "invalid")
    assert (await place.routes.http.get(place.path)).json()["private"] is False
    nowhere = f"/api/robots/{new_key().address}/privacy"
    assert (await place.routes.http.get(nowhere)).status_code == 404


async def test_a_ticket_fixes_what_its_episode_is(place: Place) -> None:
    assert place.ticket() is False
    await place.put(private=True)
    assert place.ticket() is True
    await place.put(private=False)
    assert place.ticket() is False


async def test_nothing_is_decided_while_somebody_drives_but_readers_may_go(place: Place) -> None:
    await place.routes.dock(place.robot)
    wallet, ear, hub = place.wallets["stranger"], Told("granted"), place.routes.hub
    seat = hub.sit(wallet.address, ear)
    grant = place.grant(wallet, seat.nonce)
    await hub.from_operator(seat, signalling.Join(grant, SESSION_GRANT.sign(wallet, DOMAIN, grant.values)))
    await ear.came.wait()
    assert await place.code(private=True) == (409, "robot_driven")
    assert (await place.put(private=False, readers=[new_key().address])).status_code == 200
    hub.stand(seat)
    await hub.__aexit__()


async def test_strangers_see_nothing_of_a_private_robot_live() -> None:
    reader = new_key()
    bench = Bench(watchable=lambda _robot, wallet: wallet == reader.address)
    await bench.host()
    watch = signalling.Watch(bench.robot)
    for wallet in (ANYBODY, new_key().address):
        seat = bench.hub.sit(wallet, Ear())
        with pytest.raises(SignallingError) as refused:
            await bench.hub.from_operator(seat, watch)
        assert refused.value.code == "private_robot"
        assert seat.watching is None
    watching = bench.operator(reader)
    await watching.says(watch)
    assert watching.ear.last("watching")
    driving = bench.operator()
    await driving.join()
    await driving.says(watch)  # whoever drives sees it anyway
    assert driving.ear.last("watching")


async def test_those_who_watch_see_nothing_more_once_it_is_private() -> None:
    bench = Bench()
    dock, _host = await bench.host()
    one, other = bench.operator(), bench.operator()
    for operator in (one, other):
        await operator.says(signalling.Watch(bench.robot))
    bench.hub.show_no_more(bench.robot, frozenset({other.wallet.address}))
    assert dock.watchers == {other.seat}
    assert one.ear.last("error")["code"] == "private_robot"
    bench.hub.show_no_more(new_key().address, frozenset())
