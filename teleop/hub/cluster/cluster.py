"""One of several hubs: what it says to the others, what it knows of them, and who is carried to or watched from where.

All of it belongs to the hub's event loop; what waits for the database is asked outside of it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, Self

import msgspec
import structlog

from teleop.hub.asking import Ask
from teleop.hub.cluster.bus import Bus, Stop
from teleop.hub.cluster.carrying import HOME_LOST, Link, Passes, linked
from teleop.hub.cluster.membership import BEAT_S, Living
from teleop.hub.cluster.others import SAY_S, Others
from teleop.hub.cluster.said import (
    ROBOTS_MAX,
    WATCHED_MAX,
    Arrived,
    Beat,
    RobotSaid,
    Seal,
    arrived_of,
    beat_of,
)
from teleop.hub.cluster.watching import Mirrors, Telling
from teleop.hub.hub import ANYBODY, Hub
from teleop.hub.leases.docks import Dock, Presence, Seat
from teleop.wire import signalling
from teleop.wire.signalling import SignallingError

_log = structlog.get_logger()
_SAID_MAX: Final = 300
_SOON_S: Final = 0.2
"""How long after a hub that is not known yet has spoken the database is asked for it."""


class Place(Protocol):
    """This hub's place in the database: `Membership`, or a test's."""

    @property
    def name(self) -> str:
        """This hub's name."""

    @property
    def run(self) -> str:
        """Which of its runs this is."""

    @property
    def living(self) -> dict[str, Living]:
        """The other hubs that live."""

    def is_run(self, name: str, run: str) -> bool:
        """Whether a run of another hub is one of those."""

    def beat(self) -> bool:
        """Say that this hub lives; return whether its place was still its own. Blocks."""


@dataclass(frozen=True, slots=True)
class Home:
    """The hub that a robot is at, and where it is reached."""

    hub: str
    url: str


class Cluster:
    """Use it as `async with cluster:`, inside of its hub."""

    def __init__(
        self,
        hub: Hub,
        place: Place,
        bus: Bus,
        seal: Seal,
        *,
        now_ms: Callable[[], int],
        monotonic_ms: Callable[[], int],
        ask: Ask = asyncio.to_thread,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        after_beat: Callable[[], object] = lambda: None,
    ) -> None:
        """`after_beat` is called outside the event loop after each time that this hub's row was written."""
        self._hub, self._place, self._bus, self._seal = hub, place, bus, seal
        self._ask, self._pause, self._after_beat = ask, pause, after_beat
        self.others = Others(place.is_run, monotonic_ms)
        self.passes = Passes(seal, place.name, now_ms)
        self._changed, self._soon = asyncio.Event(), asyncio.Event()
        self._telling, self.mirrors = Telling(bus, seal, ANYBODY), Mirrors(bus, seal, self._changed.set)
        self._number = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._stops: list[Stop] = []
        self._looks: dict[str, Callable[[str], None]] = {}
        self._saying: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        """Begin to speak and to listen."""
        self._loop = asyncio.get_running_loop()
        self._hub.changed = self._changed.set
        for subject, take in ((self._beats, self._hear), (self._arrivals, self._look)):
            self._stops.append(await self._bus.subscribe(subject, take))
        self._tasks = [
            asyncio.create_task(self._live(), name="place among the hubs"),
            asyncio.create_task(self._speak(), name="beats"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Say goodbye, and stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._hub.changed = lambda: None
        await self._telling.close()
        await self.mirrors.close()
        await self.say(leaving=True)
        await asyncio.gather(*self._saying, return_exceptions=True)
        for stop in self._stops:
            await stop()
        self._loop = None

    @property
    def name(self) -> str:
        """This hub's name."""
        return self._place.name

    # --- where robots are

    def home(self, robot: str) -> Home | None:
        """Return the other hub that has a robot; None if it is at this one, or at none that is known."""
        found = None if robot in self._hub.docks else self.others.home(robot)
        return None if found is None else self._at(found.hub)

    def of_lease(self, lease: str) -> Home | None:
        """Return the other hub that granted a lease which is held now."""
        found = self.others.of_lease(lease)
        return None if found is None else self._at(found.hub)

    def presences(self) -> dict[str, Presence]:
        """Return what the cards say about every robot that is online at any hub."""
        return {**self.others.presences(), **self._hub.presences()}

    def unknown(self) -> dict[str, str]:
        """Return the robots that were at a hub which lives and has gone silent, and at which."""
        return {robot: hub for robot, hub in self.others.unknown().items() if robot not in self._hub.docks}

    def report(self) -> dict[str, Any]:
        """Return how this hub sees the others."""
        return {
            "hub": self._place.name,
            "bus": self._bus.connected,
            "hubs": {name: round(ms / 1000, 1) for name, ms in self.others.silent_ms().items()},
            "elsewhere": len(self.others.presences()),
            "unknown": len(self.unknown()),
            "watching_elsewhere": self.mirrors.watching,
        }

    def unwatch(self, seat: Seat) -> None:
        """Somebody does not watch a robot of this hub any more."""
        self._hub.unwatch(seat)

    def carried(self, seat: Seat, token: str) -> Carried:
        """Return what carries one operator to robots at other hubs."""
        return Carried(self, seat, token)

    # --- what is said of what is in the database

    def look_for(self, what: str, look: Callable[[str], None]) -> None:
        """Call `look` with each key of that kind that arrives at another hub."""
        self._looks[what] = look

    def arrived(self, what: str, key: str) -> None:
        """Say that something is in the database, from any thread: whoever waits for it at another hub looks again."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._arrived, what, key)

    def _arrived(self, what: str, key: str) -> None:
        body = msgspec.json.encode(Arrived(what, key))
        said = asyncio.ensure_future(self._bus.publish(self._arrivals, self._seal.sealed(self._arrivals, body)))
        self._saying.add(said)
        said.add_done_callback(self._saying.discard)

    def _look(self, subject: str, data: bytes) -> None:
        body = self._seal.opened(subject, data)
        said = None if body is None else arrived_of(body)
        if said is not None and said.what in self._looks:
            self._looks[said.what](said.key)

    # --- beats

    async def say(self, *, leaving: bool = False) -> None:
        """Say what this hub has, once."""
        self._number += 1
        robots = [] if leaving else [_said(dock, here) for dock, here in self._hub.at_docks()]
        parts = [robots[at : at + ROBOTS_MAX] for at in range(0, len(robots), ROBOTS_MAX)] or [[]]
        watched = [] if leaving else self.mirrors.robots[:WATCHED_MAX]
        for number, part in enumerate(parts, start=1):
            last = number == len(parts)
            beat = Beat(self._place.name, self._place.run, self._number, last, part, watched, leaving)
            await self._bus.publish(self._beats, self._seal.sealed(self._beats, msgspec.json.encode(beat)))

    def tidy(self) -> None:
        """Forget whom the database knows as dead, and end what is watched at them, or was."""
        self.others.forget_dead()
        for robot in self.mirrors.robots:
            if robot in self._hub.docks or self.others.home(robot) is None:
                self.mirrors.end(robot)
        self._telling.keep(set(self._hub.docks))
        for robot, dock in self._hub.docks.items():
            self._telling.tell(dock, self.others.watched_by(robot))

    def _hear(self, subject: str, data: bytes) -> None:
        body = self._seal.opened(subject, data)
        beat = None if body is None else beat_of(body)
        if beat is None:
            self._hub.counts["bus_strange"] += 1
            return
        if not self.others.hear(beat):
            self._soon.set()  # it may have started since the database was asked
            return
        for said in beat.robots:
            dock = self._hub.docks.get(said.robot)
            if dock is not None and said.docked > dock.docked:
                _log.warning("a robot's host has gone to another hub", robot=said.robot, hub=beat.hub)
                self._hub.undock(dock)
                dock.outbox.close()
        self.tidy()

    async def _speak(self) -> None:
        while True:
            self._changed.clear()
            try:
                self.tidy()
                await self.say()
            except Exception:  # noqa: BLE001  a supervisor: it is reported, and the next beat comes
                _log.exception("a beat was not said")
            await _either(self._changed, SAY_S)

    async def _live(self) -> None:
        while True:
            self._soon.clear()
            try:
                kept = await self._ask(self._place.beat)
                if not kept:
                    _log.error("the other hubs took this one for dead; its robots connect again")
                    self._hub.send_home()
                await self._ask(self._after_beat)
                self.tidy()
            except Exception as error:  # noqa: BLE001  a supervisor: the database may come back
                _log.warning("this hub's place was not written", error=str(error))
            await self._pause(_SOON_S)
            await _either(self._soon, BEAT_S - _SOON_S)

    @property
    def _beats(self) -> str:
        return f"{self._seal.prefix}.beats"

    @property
    def _arrivals(self) -> str:
        return f"{self._seal.prefix}.arrived"

    def _at(self, name: str) -> Home | None:
        found = self._place.living.get(name)
        return None if found is None else Home(name, found.url)


async def _either(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _said(dock: Dock, here: Presence) -> RobotSaid:
    return RobotSaid(
        robot=dock.address,
        docked=dock.docked,
        estopped=here.estopped,
        fault=_short(here.fault),
        unrecordable=_short(here.unrecordable),
        driver=here.driver,
        queue_length=here.queue_length,
        wait_s=here.wait_s,
        kept_s=here.kept_s,
        task=here.task,
        stop=here.stop,
        unchecked=dict(here.unchecked),
        lease=dock.holder.id if dock.holder is not None else None,
    )


def _short(said: str | None) -> str | None:
    return None if said is None else said[:_SAID_MAX]


class Carried:
    """One operator at this hub, and their connections to the homes of robots that are at others."""

    def __init__(self, cluster: Cluster, seat: Seat, token: str) -> None:
        self._cluster, self._seat, self._token = cluster, seat, token
        self._links: dict[str, Link] = {}
        self._driving: Link | None = None

    def command(self, data: bytes) -> bool:
        """Pass on a command, if its operator is at a robot elsewhere; return whether they are."""
        if self._driving is None:
            return False
        self._driving.outbox.latest(data)
        return True

    async def serve(self, message: signalling.FromOperator, frame: str) -> bool:
        """Serve a control message that is about a robot elsewhere; return False if it is about one here.

        Raises SignallingError.
        """
        match message:
            case signalling.Watch():
                return await self._watch(message.robot)
            case signalling.Join():
                home = self._cluster.home(message.grant.robot)
            case signalling.Resume():
                home = self._cluster.of_lease(message.lease)
            case signalling.Estop() | signalling.Clear():
                home = self._cluster.home(message.robot)
                if home is not None:
                    (await self._link(home)).outbox.signal(frame)
                return home is not None
            case _:
                if self._driving is not None:
                    self._driving.outbox.signal(frame)
                return self._driving is not None
        return await self._drive(home, message, frame)

    async def close(self) -> None:
        """The operator's connection is gone: so are those to the homes, which keep a drive for its operator."""
        links, self._links, self._driving = list(self._links.values()), {}, None
        self._cluster.mirrors.leave(self._seat)
        for link in links:
            await link.close()

    async def _watch(self, robot: str) -> bool:
        if self._cluster.home(robot) is None:
            self._cluster.mirrors.leave(self._seat)
            return False
        self._cluster.unwatch(self._seat)
        await self._cluster.mirrors.watch(self._seat, robot)
        return True

    async def _drive(self, home: Home | None, message: signalling.FromOperator, frame: str) -> bool:
        there = None if home is None else self._links.get(home.hub)
        if self._driving is not None and self._driving is not there:
            raise SignallingError("state", "expected one robot at a time; open another connection for this one")
        if home is None:
            return False
        if self._seat.lease is not None:
            raise SignallingError("state", "expected one robot at a time; leave the one you are at first")
        link = self._driving = there or await self._link(home)
        link.outbox.signal(frame)
        if isinstance(message, signalling.Join):
            self._seat.nonce = "0x" + secrets.token_hex(32)  # the home has it, and takes it once
        return True

    async def _link(self, home: Home) -> Link:
        found = self._links.get(home.hub)
        if found is None:
            given = self._cluster.passes.give(home.hub)
            ends = partial(self._left, home.hub), partial(self._lost, home.hub)
            found = await linked(home.url, given, self._seat, self._token, *ends)
            self._links[home.hub] = found
        return found

    def _left(self, hub: str) -> None:
        """The operator is at no robot there any more, and may go to another one."""
        if self._driving is not None and self._driving is self._links.get(hub):
            self._driving = None

    def _lost(self, hub: str) -> None:
        """A home has ended the connection, or is gone: whoever drives there finds out as they would without us."""
        link = self._links.pop(hub, None)
        if link is not None and link is self._driving:
            self._driving = None
            self._seat.outbox.close(HOME_LOST)
