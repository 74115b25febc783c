"""One episode, driven one command a control period by the session that a host drives people's episodes with.

Part of recorder; exports `Drive`. Only time differs: it passes when the robot has done a period, and not before. So a
command arrives when its state was observed, the period begins then, and the next state is observed one period later.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recorder.collect.parties import EPOCH, Parties
from recorder.collect.simulated import Paced, SimulatedTime
from recorder.file.writer import EpisodeWriter
from recorder.proof.hubless import NO_NONCE
from sim.robot import Robot, Vector
from teleop.host.session import Session
from teleop.steps import EpisodeEnd, EpisodeStart, Events, Note, Step
from teleop.wire import signalling
from teleop.wire.descriptor import describe
from teleop.wire.driver import Driver
from teleop.wire.messages import DIGEST_BYTES, FIRST, Command, Mode, State, Values, digest_of
from teleop.wire.reasons import EndReason


class Drive:
    """One episode from its reset to its end. It is recorded from the first command with the dead-man held."""

    def __init__(
        self,
        world: Robot,
        parties: Parties,
        episode: str,
        seed: int,
        driver: Driver,
        journal: Path,
        described: dict[str, str],
        rules: str | None = None,
    ) -> None:
        """Reset `world` (connected) to `seed`, and arm it. `described` is the SHA-256 of each of the robot's files.

        `rules`: by which version of the scoring rules it is to be scored.
        """
        self.episode, self.seed, self.driver, self.journal = episode, seed, driver, journal
        self._time, self._described = SimulatedTime(world.spec.control_hz), described
        self._robot, self._events = Paced(world, self._time), Events()
        self._writer: EpisodeWriter | None = None
        self._sent = bytearray()
        """`digest_of` every command, one after the other."""
        self.robot: Mapping[str, Any] = describe(world.spec.model.name, world.spec)
        """The robot's descriptor."""
        self.ended: signalling.Ended | None = None
        """How the episode ended; None while it is open."""
        self.last: Step | None = None
        """The newest step that was recorded."""
        self._splits = np.cumsum([int(np.prod(array["shape"])) for array in self.robot["observation"]])[:-1]
        name, address = world.spec.model.name, parties.robot.address
        self._session = Session(self._robot, address, name, self._events, self._see, self._hear, self._time.clock)
        self._session.obey(parties.lease)
        self._session.obey(signalling.BeginOrder(episode, seed, NO_NONCE, driver, rules))
        self.ask(Mode.NEUTRAL, np.empty(0, np.float32), dead_man=False)

    @property
    def unstable(self) -> str | None:
        """Why the world burst, if it did."""
        return None if self._robot.burst is None else str(self._robot.burst)

    @property
    def values(self) -> dict[str, Vector]:
        """The newest state's arrays by name, float64, as an operator gets them."""
        flat = np.split(self.state.values.astype(np.float64), self._splits)
        arrays = self.robot["observation"]
        return {one["name"]: part.reshape(one["shape"]) for one, part in zip(arrays, flat, strict=True)}

    def ask(self, mode: Mode, values: Values, *, dead_man: bool, intervention: bool = False) -> None:
        """Send one command, and let the robot do one control period. `intervention`: a person gives it."""
        seq = len(self._sent) // DIGEST_BYTES + 1
        before, now_us = bytes(self._sent[-DIGEST_BYTES:]) or FIRST, self._time.monotonic_ns() // 1000
        seen = self.state.seq if seq > 1 else 0
        data = Command(mode, dead_man, EPOCH, seq, seen, now_us, values, before, intervention).encode()
        self._sent += digest_of(data)
        self._session.offer(data)
        self._session.tick()
        self._keep()

    def finish(self) -> None:
        """End the episode, as its operator does."""
        self._session.obey(signalling.FinishOrder(EndReason.FINISHED))
        self._keep()

    def sent(self, epoch: int, seq: int) -> bytes | None:
        """Return `digest_of` the command that was sent under this number; None if none was sent in that epoch."""
        return bytes(self._sent[DIGEST_BYTES * (seq - 1) : DIGEST_BYTES * seq]) if epoch == EPOCH else None

    def abandon(self) -> None:
        """Leave nothing of an episode but what is made of it. Idempotent."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abandon()
        self.journal.unlink(missing_ok=True)

    def _see(self, state: bytes) -> None:
        self.state = State.decode(state)

    def _hear(self, message: signalling.Message) -> None:
        if isinstance(message, signalling.Ended):
            self.ended = message

    def _keep(self) -> None:
        while self._events.qsize():
            event = self._events.get_nowait()
            match event:
                case EpisodeStart():
                    self._writer = EpisodeWriter.start(self.journal, event, self._described, durable=False)
                case Step():
                    self._open().append(event)
                    self.last = event
                case Note():
                    self._open().note(event)
                case EpisodeEnd():
                    self._open().end(event)
                    self._writer = None

    def _open(self) -> EpisodeWriter:
        assert self._writer is not None  # the session starts an episode before its steps and its end
        return self._writer
