"""A bus in memory, which a test takes away and brings back, and a place among hubs without a database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from teleop.hub.cluster.bus import Take
from teleop.hub.cluster.membership import Living


class Wire:
    """What joins the buses of several hubs, and remembers everything that went over it."""

    def __init__(self) -> None:
        self.takes: dict[object, tuple[MemoryBus, str, Take]] = {}
        self.said: list[tuple[str, bytes]] = []


class MemoryBus:
    """One hub's end."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self.connected = wire, True

    async def publish(self, subject: str, data: bytes) -> None:
        if not self.connected:
            return
        self._wire.said.append((subject, data))
        for bus, wanted, take in list(self._wire.takes.values()):
            if bus is not self and wanted == subject and bus.connected:
                take(subject, data)

    async def subscribe(self, subject: str, take: Take) -> Callable[[], Awaitable[None]]:
        key = object()
        self._wire.takes[key] = self, subject, take

        async def stop() -> None:
            self._wire.takes.pop(key, None)

        return stop


class Places:
    """Which hubs live, as a database would say it."""

    def __init__(self) -> None:
        self.living: dict[str, Living] = {}


class MemoryPlace:
    """One hub's place there."""

    def __init__(self, places: Places, name: str, run: str, url: str = "") -> None:
        self._places, self.name, self.run, self.url = places, name, run, url
        self.buried = False
        self.join()

    def join(self) -> None:
        self._places.living[self.name] = Living(self.name, self.run, self.url)

    @property
    def living(self) -> dict[str, Living]:
        return {name: one for name, one in self._places.living.items() if name != self.name}

    def is_run(self, name: str, run: str) -> bool:
        found = self.living.get(name)
        return found is not None and found.run == run

    def beat(self) -> bool:
        kept, self.buried = not self.buried, False
        return kept
