"""A robot's episodes, one after the other: asked for, open, recorded from the first driven step on, and ended.

Part of teleop; exports `Episodes`, which hands the steps to the recorder and tells the hub what becomes of each
episode. When one begins or ends is `session.py`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from sim.robot import Observation, RobotSpec
from teleop.clock import Clock
from teleop.steps import QUEUE_STEPS, EpisodeEnd, EpisodeStart, Events, FilmHead, Note, Step
from teleop.wire import signalling
from teleop.wire.notes import NOTES_MAX, cleaned
from teleop.wire.reasons import EndReason

_ROOM_FOR_END: Final = 1
_OPEN_NS: Final = 5_000_000_000
"""How long an episode waits for cameras to open; it then begins without them, and says so."""


class Cameras(Protocol):
    """What records beside the steps."""

    def heads(self) -> tuple[FilmHead, ...]:
        """Return the cameras that record an episode that begins now."""

    def ready(self) -> bool:
        """Whether each of them gives pictures."""


class Episodes:
    """At most one of them is open, and one is asked for. Belongs to the session's thread."""

    def __init__(
        self,
        address: str,
        name: str,
        events: Events,
        report: Callable[[signalling.Message], None],
        clock: Clock,
        cameras: Cameras | None = None,
    ) -> None:
        """`cameras` record beside the steps."""
        self._address, self._name, self._clock = address, name, clock
        self._events, self._report, self._cameras = events, report, cameras
        self._asked_ns = 0
        self.asked: signalling.BeginOrder | None = None
        """An episode that begins once the arm is at rest."""
        self._order: signalling.BeginOrder | None = None
        """The open episode's."""
        self.recording = False
        self.steps = 0
        """How many steps of the open episode are recorded."""
        self._notes: list[Note] = []
        """What was said while it was."""

    @property
    def open(self) -> str | None:
        """The open episode's name; None if there is none."""
        return None if self._order is None else self._order.episode

    def ask(self, order: signalling.BeginOrder) -> None:
        """Ask for an episode."""
        self.asked, self._asked_ns = order, self._clock.monotonic_ns()

    @property
    def due(self) -> bool:
        """Whether an episode is asked for, and its cameras are open, or do not open."""
        if self.asked is None:
            return False
        waited_ns = self._clock.monotonic_ns() - self._asked_ns
        return self._cameras is None or self._cameras.ready() or waited_ns > _OPEN_NS

    def begin(self, order: signalling.BeginOrder) -> None:
        """Open an episode: the robot is ready for it."""
        self.asked, self._order = None, order
        self.recording, self.steps, self._notes = False, 0, []
        self._report(signalling.Ready(order.episode, order.seed))

    def record(self, lease: signalling.LeaseOrder, spec: RobotSpec, initial: Observation) -> None:
        """Record the open episode, if there is one, from here on."""
        if self._order is None:
            return
        self.recording = True
        self._events.put(
            EpisodeStart(
                episode=self._order.episode,
                robot=self._address,
                robot_name=self._name,
                spec=spec,
                operator=lease.operator,
                grant=lease.grant.values,
                grant_signature=lease.signature,
                seed=self._order.seed,
                nonce=self._order.nonce,
                initial=initial,
                t_mono_ns=self._clock.monotonic_ns(),
                t_wall_ns=self._clock.wall_ns(),
                cameras=self._cameras.heads() if self._cameras else (),
                driver=self._order.driver,
                rules=self._order.rules,
            )
        )

    def note(self, text: str) -> None:
        """Keep words with the episode that is being recorded, at this moment, and say so; else they are dropped."""
        said = cleaned(text)
        if self._order is None or not self.recording or not said or len(self._notes) >= NOTES_MAX:
            return
        note = Note(self._clock.monotonic_ns(), said)
        self._notes.append(note)
        self._events.put(note)
        self._report(signalling.HostNoted(self._order.episode, len(self._notes)))

    def add(self, step: Step, max_steps: int | None) -> EndReason | None:
        """Record a step; return why the episode must end now, or None if it goes on."""
        if self._events.qsize() >= QUEUE_STEPS - _ROOM_FOR_END:
            return EndReason.RECORDER_FULL
        self._events.put(step)
        self.steps += 1
        return EndReason.STEP_LIMIT if max_steps is not None and self.steps >= max_steps else None

    def end(self, reason: EndReason, success: bool | None, said: bool | None = None) -> None:
        """Close what is asked for and what is open, and report both. `said`: the operator's word on the task."""
        asked, self.asked = self.asked, None
        if asked is not None:
            self._report(signalling.Ended(asked.episode, False, 0, None, False, reason))
        order, self._order = self._order, None
        recorded, self.recording = self.recording, False
        if order is None:
            return
        if recorded:
            now = self._clock.monotonic_ns(), self._clock.wall_ns()
            self._events.put(EpisodeEnd(order.episode, self.steps, success, reason, *now, tuple(self._notes), said))
        kept = self.steps > 0  # a recorder keeps no episode without a step
        self._report(signalling.Ended(order.episode, kept, self.steps, success, kept and reason.valid, reason))
