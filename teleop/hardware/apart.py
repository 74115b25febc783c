"""A robot whose driver runs in a process of its own, because its maker's library may hang, or hold Python's lock.

Part of teleop; exports `Apart`. Each call of the `Robot` protocol is one exchange over a pipe, with a bound on how long
it may take; a driver that does not answer is ended, and the drive with it. Values cross as they are.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

import structlog

from sim.processes import end_with_parent
from sim.robot import Action, NotConnectedError, Observation, Robot, RobotError, RobotFaultError, RobotSpec

log = structlog.get_logger(__name__)

CONNECT_S: Final = 60.0
"""How long a driver may take to load its library and to connect."""
ANSWER_S: Final = 1.0
_END_S: Final = 3.0


class DriverHungError(RobotFaultError):
    """The robot's driver did not answer, and was ended."""


class DriverDiedError(RobotFaultError):
    """The process of the robot's driver ended by itself."""


class Apart:
    """The robot that `make` returns in the other process; `spec` is that robot's."""

    def __init__(self, make: Callable[[], Robot], spec: RobotSpec, *, answer_s: float = ANSWER_S) -> None:
        """`make` can be pickled. Starts nothing."""
        self._make, self._spec, self._answer_s = make, spec, answer_s
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    @property
    def spec(self) -> RobotSpec:
        """Constant for the life of the object."""
        return self._spec

    def connect(self) -> None:
        """Start the driver and let it connect. Idempotent. Raises what it raises, and a fault of its own."""
        if self._pipe is not None:
            return
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_drive, args=(self._make, other), name="robot driver", daemon=True)
        self._process.start()
        other.close()
        try:
            self._asked("connect", within_s=CONNECT_S)
        except BaseException:
            self._end()
            raise

    def reset(self, seed: int) -> Observation:
        """Prepare a new episode."""
        found: Observation = self._asked("reset", seed)
        return found

    def observe(self) -> Observation:
        """Return the current observation."""
        found: Observation = self._asked("observe")
        return found

    def send_action(self, action: Action) -> Action:
        """Start one control period."""
        applied: Action = self._asked("send_action", action)
        return applied

    def disconnect(self) -> None:
        """Let the driver let go, and end its process. Idempotent."""
        if self._pipe is None:
            return
        try:
            self._asked("disconnect", within_s=_END_S)
        except RobotFaultError as error:  # it is gone, or ended now: the robot holds by itself
            log.warning("driver_ended", error=str(error))
        finally:
            self._end(_END_S)

    def _asked(self, call: str, *arguments: Any, within_s: float = 0.0) -> Any:
        """Return what the driver's call returns; raise what it raises, or that it hangs or has ended."""
        if self._pipe is None:
            raise NotConnectedError(f"expected connect() before {call}(); no driver of {self._spec.model.name} runs")
        within_s = within_s or self._answer_s
        try:
            self._pipe.send((call, arguments))
            if not self._pipe.poll(within_s):
                self._end()
                raise DriverHungError(
                    f"the driver of {self._spec.model.name} did not answer within {within_s:g} s and was ended; look "
                    "at the robot and at its cable, then start again"
                )
            good, answer = self._pipe.recv()
        except (OSError, EOFError) as error:
            code = self._end(_END_S)
            raise DriverDiedError(
                f"the driver of {self._spec.model.name} ended by itself (exit status {code}); start again"
            ) from error
        if not good:
            raise answer
        return answer

    def _end(self, patience_s: float = 0.0) -> int | None:
        """End the process, if it does not end by itself meanwhile; return its exit status."""
        pipe, process = self._pipe, self._process
        self._pipe = self._process = None
        if pipe is not None:
            pipe.close()
        if process is None:
            return None
        process.join(patience_s)
        if process.is_alive():
            process.kill()
        process.join()
        code = process.exitcode
        process.close()
        return code


def _drive(make: Callable[[], Robot], pipe: Connection) -> None:
    """Answer calls until the other end is closed. Errors of the robot go over; another one ends this process."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the host, which lets go in its own order
    robot = make()
    with suppress(EOFError):
        while True:
            call, arguments = pipe.recv()
            try:
                answer = True, getattr(robot, call)(*arguments)
            except RobotError as error:
                answer = False, error
            pipe.send(answer)
            if call == "disconnect":
                return
