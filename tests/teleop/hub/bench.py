"""A hub without sockets, threads or real time: a test hands in the clock, the database's answers and every message.

`FakeStore` is held to the real one by `test_store.py`; both pass the same tests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from eth_account.signers.local import LocalAccount
from sqlalchemy.exc import OperationalError

from sim.catalogue import make_world
from teleop.cameras.spec import cameras_of
from teleop.hub.hub import Hub, Watchable
from teleop.hub.leases.docks import Dock, Lease, Seat
from teleop.hub.robots.registry import HUB_LOST, UnknownRobotAddressError
from teleop.hub.tables import LeaseRow, RobotRow, TicketRow
from teleop.identity import CLEAR_ROBOT, HOST_HELLO, SESSION_GRANT, Domain, new_key
from teleop.wire import signalling
from teleop.wire.descriptor import describe
from teleop.wire.driver import Driver
from teleop.wire.messages import PROTOCOL
from teleop.wire.outbox import Outbox
from teleop.wire.signalling import Grant

DOMAIN = Domain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
LEASE_S = 600.0
CHALLENGE = "0x" + "07" * 32
HOUR_MS = 3_600_000
STOP = "0x" + "05" * 32
"""The name of what is latched."""
_PANDA = make_world("panda", "lift").spec


def broken() -> OperationalError:
    """What a database says that cannot serve."""
    return OperationalError("UPDATE", {}, Exception("database is locked"))


def descriptor() -> dict[str, Any]:
    """What a host says of a Panda; a fresh copy each time, as it comes off the wire."""
    said = {**describe("robot-1", _PANDA), "cameras": [camera.describe() for camera in cameras_of(_PANDA)]}
    fresh: dict[str, Any] = json.loads(json.dumps(said))
    return fresh


class FakeStore:
    """The hub's part of the database, in memory."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.robots: dict[str, RobotRow] = {}
        self.leases: dict[str, LeaseRow] = {}
        self.tickets: list[TicketRow] = []
        self.rules: str | None = None

    def add(self, address: str, owner: str) -> None:
        """Register a robot."""
        self.robots[address] = RobotRow(
            address=address, owner=owner, name="robot-1", model="panda", simulated=True, epoch=0, docked=0
        )

    def robot(self, address: str) -> RobotRow:
        if address not in self.robots:
            raise UnknownRobotAddressError(f"expected a registered robot's address, got {address!r}")
        return self.robots[address]

    def describe(self, address: str, descriptor: dict[str, Any], _upload_token: str) -> int:
        row = self.robots[address]
        row.descriptor, row.docked = descriptor, row.docked + 1
        return row.docked

    def depart(self, address: str, docked: int) -> None:
        row = self.robots[address]
        if row.docked == docked:
            row.hub = None

    def lease_lengths_s(self, robot: str, count: int) -> list[float]:
        ended = [row for row in self.leases.values() if row.robot == robot and row.ended_ms and row.reason != HUB_LOST]
        newest = sorted(ended, key=lambda row: row.epoch)[-count:]
        return [((row.ended_ms or 0) - row.started_ms) / 1000 for row in newest]

    def open_lease(self, lease: str, grant: Grant, signature: str) -> LeaseRow:
        robot = self.robots[grant.robot]
        robot.epoch += 1
        row = LeaseRow(
            lease=lease,
            robot=grant.robot,
            operator=grant.operator,
            epoch=robot.epoch,
            grant=grant.values,
            signature=signature,
            started_ms=self._now_ms(),
        )
        self.leases[lease] = row
        return row

    def renew_lease(self, lease: str) -> int:
        row = self.leases[lease]
        robot = self.robots[row.robot]
        robot.epoch += 1
        row.epoch = robot.epoch
        return robot.epoch

    def close_lease(self, lease: str, reason: str, ended_ms: int) -> None:
        row = self.leases.get(lease)
        if row is not None and row.ended_ms is None:
            row.ended_ms, row.reason = ended_ms, reason

    def close_left_open(self, ended_ms: int) -> int:
        left = [row for row in self.leases.values() if row.ended_ms is None]
        for row in left:
            row.ended_ms, row.reason = ended_ms, HUB_LOST
        return len(left)

    def issue_ticket(self, lease: LeaseRow, task: str, _described: dict[str, Any], driver: Driver) -> TicketRow:
        number, said = len(self.tickets) + 1, msgspec.to_builtins(driver)
        named = {"episode": f"E{number}", "lease": lease.lease, "nonce": f"0x{number:064x}"}
        ticket = TicketRow(**named, task=task, seed=number, driver=said, rules=self.rules)
        self.tickets.append(ticket)
        return ticket

    def note_heard(self, episode: str, heard: dict[str, Any]) -> None:
        for ticket in self.tickets:
            if ticket.episode == episode:
                for name, value in heard.items():
                    setattr(ticket, name, value)

    @property
    def ends(self) -> list[tuple[str, str | None]]:
        """(operator, reason) of every lease, in the order in which they were opened; None: it is open."""
        return [(row.operator, row.reason) for row in self.leases.values()]


class Database:
    """How the hub asks the store: what a test holds waits, what it breaks fails, and the rest is answered at once."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._held: dict[str, asyncio.Event] = {}
        self._broken: dict[str, int] = {}
        self._lost: set[str] = set()

    async def ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        name = call.__name__
        self.asked.append(name)
        if name in self._held:
            await self._held[name].wait()
        if name in self._lost:
            call(*arguments)
            raise broken()
        if self._broken.get(name, 0) > 0:
            self._broken[name] -= 1
            raise broken()
        return call(*arguments)

    def hold(self, name: str) -> Callable[[], None]:
        """Let the next calls of that name wait, until what is returned is called."""
        event = self._held[name] = asyncio.Event()

        def release() -> None:
            self._held.pop(name, None)
            event.set()

        return release

    def breaks(self, name: str, times: int = 10**9) -> None:
        """Let the next calls of that name fail; 0: no more."""
        self._broken[name] = times

    def loses_answers(self, name: str, *, yes: bool = True) -> None:
        """Let calls of that name be done, and fail: a commit whose answer is lost."""
        (self._lost.add if yes else self._lost.discard)(name)


class Ear(Outbox):
    """An outbox that remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[dict[str, Any]] = []
        self.frames: list[bytes] = []
        self.closed = False

    def signal(self, text: str) -> None:
        self.said.append(json.loads(text))

    def latest(self, data: bytes) -> None:
        self.frames.append(data)

    def close(self, code: int = 1000) -> None:
        super().close(code)
        self.closed = True

    def types(self) -> list[str]:
        """The types of what was said since the last time."""
        said = [message["type"] for message in self.said]
        self.said.clear()
        return said

    def last(self, kind: str) -> dict[str, Any]:
        """The newest message of that type."""
        return next(message for message in reversed(self.said) if message["type"] == kind)


@dataclass(eq=False)
class Operator:
    """A signed-in wallet's connection."""

    bench: Bench
    wallet: LocalAccount
    ear: Ear
    seat: Seat

    def grant(self, **changed: Any) -> signalling.Join:
        """Return a join, signed by its wallet; with some fields of the grant changed."""
        made = Grant(
            operator=self.wallet.address,
            session_key=self.wallet.address,
            robot=self.bench.robot,
            task="lift",
            nonce=self.seat.nonce,
            not_after_ms=self.bench.now_ms + HOUR_MS,
        )
        grant = Grant(**{**{name: getattr(made, name) for name in made.__struct_fields__}, **changed})
        return signalling.Join(grant, SESSION_GRANT.sign(self.wallet, DOMAIN, grant.values))

    def clear(self, stop: str = STOP) -> signalling.Clear:
        """Return a clear of the robot, signed by its wallet."""
        values = {"robot": self.bench.robot, "stop": stop}
        return signalling.Clear(self.bench.robot, stop, CLEAR_ROBOT.sign(self.wallet, DOMAIN, values))

    async def says(self, message: signalling.FromOperator) -> None:
        """Send a control message, and let everything that it causes happen."""
        await self.bench.hub.from_operator(self.seat, message)
        await self.bench.settle()

    async def join(self) -> Lease:
        """Queue for the robot."""
        await self.bench.hub.from_operator(self.seat, self.grant())
        lease = self.seat.lease
        assert lease is not None
        await self.bench.settle()
        return lease

    async def leaves(self) -> None:
        """Lose the connection."""
        self.bench.hub.stand(self.seat)
        await self.bench.settle()


@dataclass
class Bench:
    """One hub, its store and its clock; robots and operators come as a test asks."""

    now_ms: int = 1_700_000_000_000
    monotonic_ms: int = 1_000_000
    pauses_s: list[float] = field(default_factory=list)
    watchable: Watchable | None = None

    def __post_init__(self) -> None:
        self.store, self.database = FakeStore(lambda: self.now_ms), Database()
        self.key, self.owner = new_key(), new_key()
        self.robot = self.key.address
        self.store.add(self.robot, self.owner.address)
        self._rested = asyncio.Event()
        self.hub = self.new_hub()

    def new_hub(self) -> Hub:
        """Return another hub on the same store and clock: this one, started again."""
        return Hub(
            self.store,
            DOMAIN,
            LEASE_S,
            now_ms=lambda: self.now_ms,
            monotonic_ms=lambda: self.monotonic_ms,
            ask=self.database.ask,
            pause=self._pause,
            watchable=self.watchable,
        )

    async def _pause(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        await self._rested.wait()

    async def rest(self) -> None:
        """End every pause that is under way."""
        self._rested.set()
        self._rested = asyncio.Event()
        await self.settle()

    def rests_at_once(self) -> None:
        """Make pauses short from now on."""
        self._rested.set()

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ms += round(seconds * 1000)
        self.monotonic_ms += round(seconds * 1000)

    async def settle(self) -> None:
        """Let everything happen that waits for nothing outside: no step of it takes more than a few turns."""
        for _ in range(30):
            await asyncio.sleep(0)

    def hello(self, **changed: Any) -> signalling.HostHello:
        """Return a host's hello over `CHALLENGE`, signed by the robot's key."""
        signature = HOST_HELLO.sign(self.key, DOMAIN, {"robot": self.robot, "challenge": CHALLENGE})
        fields = {"protocol": PROTOCOL, "robot": self.robot, "signature": signature, "estopped": False}
        return signalling.HostHello(**{**fields, "descriptor": descriptor(), **changed})

    async def host(self, **changed: Any) -> tuple[Dock, Ear]:
        """Let the robot's host come."""
        ear = Ear()
        return await self.hub.dock(self.hello(**changed), CHALLENGE, ear), ear

    def operator(self, wallet: LocalAccount | None = None) -> Operator:
        """Let an operator sign in."""
        wallet, ear = wallet or new_key(), Ear()
        return Operator(self, wallet, ear, self.hub.sit(wallet.address, ear))
