"""Watching a robot that is at another hub: its home says its states on the bus while somebody elsewhere watches.

Each hub sends them on to its own watchers, so a state goes over the bus once, however many watch. What is lost there is
lost as it is to a slow watcher: the next state is the present one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from teleop.hub.cluster.bus import Bus, Stop
from teleop.hub.cluster.said import Seal, news_of
from teleop.hub.leases.docks import Dock, Seat, watching
from teleop.wire import signalling
from teleop.wire.messages import STATE_BYTES_MAX
from teleop.wire.outbox import Outbox
from teleop.wire.signalling import Left

_log = structlog.get_logger()


def _states(seal: Seal, robot: str) -> str:
    return f"{seal.prefix}.states.{robot.lower()}"


def _news(seal: Seal, robot: str) -> str:
    return f"{seal.prefix}.news.{robot.lower()}"


@dataclass(eq=False, slots=True)
class _Told:
    """A robot of ours that is watched elsewhere: one seat, whose outbox is the bus."""

    seat: Seat
    task: asyncio.Task[None]
    hubs: frozenset[str]


class Telling:
    """Says on the bus what watchers of our robots see, for those who watch at other hubs."""

    def __init__(self, bus: Bus, seal: Seal, nobody: str) -> None:
        """`nobody`: the address of a seat that nobody has signed in at."""
        self._bus, self._seal, self._nobody = bus, seal, nobody
        self._told: dict[str, _Told] = {}

    def tell(self, dock: Dock, hubs: frozenset[str]) -> None:
        """Tell the others of a robot for as long as these hubs have watchers of it."""
        found = self._told.get(dock.address)
        if found is not None and (found.seat.watching is not dock or not hubs):
            self._end(dock.address, found)
            found = None
        if not hubs:
            return
        if found is None:
            found = self._begin(dock, hubs)
            dock.watchers.add(found.seat)
        elif hubs <= found.hubs:
            found.hubs = hubs
            return
        found.hubs = hubs
        found.seat.outbox.signal(signalling.encode(watching(dock)))  # again, for those who have just come

    def keep(self, robots: set[str]) -> None:
        """End what is told of robots that are not here any more."""
        for robot, found in list(self._told.items()):
            if robot not in robots:
                self._end(robot, found)

    async def close(self) -> None:
        """End all of it."""
        tasks = [found.task for found in self._told.values()]
        self.keep(set())
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, dock: Dock, hubs: frozenset[str]) -> _Told:
        seat = Seat(self._nobody, "", Outbox(), watching=dock)
        task = asyncio.create_task(self._send(dock.address, seat.outbox), name="watched elsewhere")
        found = self._told[dock.address] = _Told(seat, task, hubs)
        return found

    def _end(self, robot: str, found: _Told) -> None:
        del self._told[robot]
        if found.seat.watching is not None:
            found.seat.watching.watchers.discard(found.seat)
        found.seat.outbox.close()  # once what waits is said

    async def _send(self, robot: str, outbox: Outbox) -> None:
        news, states = _news(self._seal, robot), _states(self._seal, robot)

        async def text(said: str) -> None:
            await self._bus.publish(news, self._seal.sealed(news, said.encode()))

        async def data(state: bytes) -> None:
            await self._bus.publish(states, self._seal.sealed(states, state))

        await outbox.drain(text, data)


@dataclass(eq=False, slots=True)
class _Mirror:
    """A robot elsewhere that is watched here."""

    robot: str
    watchers: set[Seat] = field(default_factory=set)
    newest: str | None = None
    """What a watcher needs to read the states, as its home said it last."""
    stops: list[Stop] = field(default_factory=list)


class Mirrors:
    """What is watched here of robots at other hubs."""

    def __init__(self, bus: Bus, seal: Seal, changed: Callable[[], None]) -> None:
        """`changed`: what is watched here is another set of robots now."""
        self._bus, self._seal, self._changed = bus, seal, changed
        self._mirrors: dict[str, _Mirror] = {}
        self._of: dict[Seat, _Mirror] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def robots(self) -> list[str]:
        """The robots that are watched here."""
        return list(self._mirrors)

    @property
    def watching(self) -> int:
        """How many watch."""
        return len(self._of)

    async def watch(self, seat: Seat, robot: str) -> None:
        """Let somebody watch a robot that is at another hub, in place of what they watched elsewhere before."""
        self.leave(seat)
        found = self._mirrors.get(robot)
        if found is None:
            found = self._mirrors[robot] = _Mirror(robot)
            self._seat(seat, found)
            for subject, take in ((_states(self._seal, robot), self._state), (_news(self._seal, robot), self._told)):
                found.stops.append(await self._bus.subscribe(subject, self._heard(found, take)))
            if self._mirrors.get(robot) is not found:  # everybody has left meanwhile
                await self._stop(found)
            self._changed()
            return
        self._seat(seat, found)
        if found.newest is not None:
            seat.outbox.signal(found.newest)

    def leave(self, seat: Seat) -> None:
        """Somebody watches nothing elsewhere any more. Idempotent."""
        found = self._of.pop(seat, None)
        if found is not None:
            found.watchers.discard(seat)
            if not found.watchers:
                self._drop(found)

    def end(self, robot: str) -> None:
        """A robot is not at another hub any more: whoever watches it there is told so."""
        found = self._mirrors.get(robot)
        if found is None:
            return
        for seat in found.watchers:
            self._of.pop(seat, None)
            seat.outbox.signal(signalling.encode(Left("host_lost")))
        found.watchers.clear()
        self._drop(found)

    async def close(self) -> None:
        """End all of it."""
        for found in list(self._mirrors.values()):
            self._drop(found)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _seat(self, seat: Seat, found: _Mirror) -> None:
        found.watchers.add(seat)
        self._of[seat] = found

    def _heard(self, found: _Mirror, take: Callable[[_Mirror, bytes], None]) -> Callable[[str, bytes], None]:
        def heard(subject: str, data: bytes) -> None:
            body = self._seal.opened(subject, data)
            if body is not None:
                take(found, body)

        return heard

    def _state(self, found: _Mirror, data: bytes) -> None:
        if 0 < len(data) <= STATE_BYTES_MAX:
            for seat in found.watchers:
                seat.outbox.latest(data)

    def _told(self, found: _Mirror, data: bytes) -> None:
        said = news_of(data)
        if said is None:
            _log.warning("another hub said what no watcher is told; it is dropped", robot=found.robot)
            return
        if isinstance(said, Left):
            self.end(found.robot)
            return
        text = data.decode()
        if isinstance(said, signalling.Watching):
            if text == found.newest:
                return  # somebody has come to watch it at a third hub
            found.newest = text
        for seat in found.watchers:
            seat.outbox.signal(text)

    def _drop(self, found: _Mirror) -> None:
        if self._mirrors.get(found.robot) is found:
            del self._mirrors[found.robot]
        task = asyncio.create_task(self._stop(found), name="end of watching elsewhere")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        self._changed()

    async def _stop(self, found: _Mirror) -> None:
        while found.stops:
            await found.stops.pop()()
