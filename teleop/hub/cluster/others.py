"""Which robots are at other hubs, as those say by their beats; what is not said again is forgotten after a few of them.

All of it belongs to the hub's event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from teleop.hub.cluster.said import Beat, RobotSaid
from teleop.hub.leases.docks import Presence

SAY_S: Final = 1.0
"""How often a hub says what it has; also at once when a robot comes or goes."""
SILENT_MS: Final = 3_500
"""After so long without a beat nothing is known of a hub's robots any more."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A robot at another hub."""

    hub: str
    said: RobotSaid
    number: int
    """Of the beat that named it last."""

    @property
    def presence(self) -> Presence:
        """What its card says."""
        said = self.said
        return Presence(
            estopped=said.estopped,
            fault=said.fault,
            unrecordable=said.unrecordable,
            driver=said.driver,
            queue_length=said.queue_length,
            wait_s=said.wait_s,
            kept_s=said.kept_s,
            task=said.task,
            stop=said.stop,
            unchecked=dict(said.unchecked),
        )


@dataclass(slots=True)
class _Heard:
    run: str
    number: int
    at_ms: int
    watched: frozenset[str]


class Others:
    """What the other hubs have said."""

    def __init__(self, is_run: Callable[[str, str], bool], monotonic_ms: Callable[[], int]) -> None:
        """`is_run`: whether a hub's run is one that the database knows as living."""
        self._is_run, self._monotonic_ms = is_run, monotonic_ms
        self._hubs: dict[str, _Heard] = {}
        self._robots: dict[str, Elsewhere] = {}

    def hear(self, beat: Beat) -> bool:
        """Note what a hub says; return whether it counts."""
        if not self._is_run(beat.hub, beat.run):
            return False
        before = self._hubs.get(beat.hub)
        if before is not None and before.run == beat.run and beat.number < before.number:
            return False
        self._hubs[beat.hub] = _Heard(beat.run, beat.number, self._monotonic_ms(), frozenset(beat.watched))
        for said in beat.robots:
            known = self._robots.get(said.robot)
            if known is None or known.hub == beat.hub or said.docked > known.said.docked or self._silent(known.hub):
                self._robots[said.robot] = Elsewhere(beat.hub, said, beat.number)
        if beat.leaving:
            self._forget(beat.hub)
        elif beat.last:
            for one in [one for one in self._of(beat.hub) if one.number < beat.number]:
                del self._robots[one.said.robot]
        return True

    def forget_dead(self) -> list[str]:
        """Forget the hubs that the database does not know as living any more; return which those are."""
        dead = [name for name, heard in self._hubs.items() if not self._is_run(name, heard.run)]
        for name in dead:
            self._forget(name)
        return dead

    def home(self, robot: str) -> Elsewhere | None:
        """Return a robot that is at another hub; None if no hub says that it has it."""
        found = self._robots.get(robot)
        return None if found is None or self._silent(found.hub) else found

    def of_lease(self, lease: str) -> Elsewhere | None:
        """Return the robot that is held under a lease at another hub."""
        return next((one for one in self._heard() if one.said.lease == lease), None)

    def presences(self) -> dict[str, Presence]:
        """Return what the cards say about every robot that is at another hub."""
        return {one.said.robot: one.presence for one in self._heard()}

    def unknown(self) -> dict[str, str]:
        """Return the robots of which nothing is known any more, and at which hub each was: it lives, and is silent."""
        return {one.said.robot: one.hub for one in self._robots.values() if self._silent(one.hub)}

    def watched_by(self, robot: str) -> frozenset[str]:
        """Return the hubs at which somebody watches a robot."""
        return frozenset(
            name for name, heard in self._hubs.items() if robot in heard.watched and not self._silent(name)
        )

    def silent_ms(self) -> dict[str, int]:
        """Return for how long each of the others has said nothing."""
        return {name: self._monotonic_ms() - heard.at_ms for name, heard in self._hubs.items()}

    def _heard(self) -> Iterator[Elsewhere]:
        return (one for one in self._robots.values() if not self._silent(one.hub))

    def _of(self, hub: str) -> list[Elsewhere]:
        return [one for one in self._robots.values() if one.hub == hub]

    def _silent(self, hub: str) -> bool:
        heard = self._hubs.get(hub)
        return heard is None or self._monotonic_ms() - heard.at_ms > SILENT_MS

    def _forget(self, hub: str) -> None:
        self._hubs.pop(hub, None)
        for one in self._of(hub):
            del self._robots[one.said.robot]
