"""A Gymnasium environment of ours whose episodes are recorded: whatever drives it makes signed, replayable episodes.

Part of recorder; exports `RecordedEnv`. An action becomes a command as an operator sends it, in float32, so the motion
may differ in its last bits from that of the same environment unrecorded; what is recorded is what was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from recorder.collect.drive import Drive
from recorder.collect.folder import CollectError, Folder, Made
from recorder.collect.making import After, Maker
from recorder.collect.parties import parties
from sim.gym import Seen, TaskEnv
from sim.motion.control import LimitEvent, Setpoint
from sim.robot import Observation, Robot, UnstableWorldError
from sim.seeds import require_data
from teleop.operator.program import program, this_program
from teleop.wire.driver import Driver, DriverKind
from teleop.wire.setpoints import values_of

Action = NDArray[np.float32]


class _Recorded:
    """Control periods that are driven and recorded, instead of straight to the robot."""

    def __init__(self, robot: Robot, maker: Maker, folder: Folder, made: Made) -> None:
        self._robot, self._maker, self._folder, self._made = robot, maker, folder, made
        self.drive: Drive | None = None
        """The episode that is open, or has ended and was not kept yet."""

    def reset(self, seed: int) -> Observation:
        """Begin an episode; one that is open is left, and not kept. Raises SeedError for a seed that judges."""
        self.leave()
        self.drive = self._maker.begin(self._folder.free_name(self._made, require_data(seed)), seed)
        return self._robot.observe()

    def step(self, setpoint: Setpoint) -> tuple[Observation, Sequence[LimitEvent]]:
        """Drive for one period."""
        drive = self.drive
        if drive is None or drive.ended is not None:
            raise CollectError("The episode is over: call reset() before another step().")
        mode, values = values_of(setpoint)
        drive.ask(mode, values, dead_man=True)
        if drive.unstable is not None:
            raise UnstableWorldError(drive.unstable)
        return self._robot.observe(), () if drive.last is None else drive.last.limits

    def leave(self) -> None:
        """Forget the episode that is open."""
        drive, self.drive = self.drive, None
        if drive is not None:
            drive.abandon()


class RecordedEnv(gymnasium.Wrapper[Seen, Action, Seen, Action]):
    """Records each episode that terminates, or is truncated, into a folder; `info["recorded"]` then is its name.

    One that is reset, or closed, before that is not kept; nor is one whose world burst. Close it, or use it in `with`.
    """

    def __init__(
        self,
        env: gymnasium.Env[Seen, Action],
        folder: Path,
        *,
        by: Driver,
        wallet: Path | None = None,
        replay: bool = True,
        after: After | None = None,
        rules: str | None = None,
    ) -> None:
        """Record what drives `env`; raise CollectError if it is not one of ours, or the folder is for something else.

        `by` says who drives. `wallet` is the operator's own key; by default one is kept in the folder. `rules`: the
        version of the scoring rules that its episodes name.
        """
        super().__init__(env)
        inner = env.unwrapped
        if not isinstance(inner, TaskEnv):
            raise CollectError(
                f"Only armshare's environments can be recorded, and {env} is not one. docs/gymnasium.md lists them."
            )
        made = Made(inner.world.description.model.name, inner.world.task.spec.name, by)
        held = Folder(folder)
        with ExitStack() as stack:
            stack.enter_context(held.held(made))
            who = parties(held.keys, made.task, wallet)
            maker = Maker(inner.world, who, held, made, replay=replay, after=after, rules=rules)
            self._holding = stack.pop_all()
        self._maker, self._periods = maker, _Recorded(inner.world, maker, held, made)
        inner.periods = self._periods

    def step(self, action: Action) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Drive for one period; keep the episode if it has ended with it."""
        seen, reward, terminated, truncated, info = self.env.step(action)
        drive = self._periods.drive
        truncated = truncated or (not terminated and drive is not None and drive.ended is not None)
        if drive is not None and (terminated or truncated):
            if drive.ended is None:
                drive.finish()
            attempt = self._maker.keep(drive)
            self._periods.leave()
            if not attempt.lost:
                info["recorded"] = attempt.episode
        return seen, float(reward), terminated, truncated, info

    def close(self) -> None:
        """Leave what is open, let go of the folder, and close the environment."""
        self._periods.leave()
        self._holding.close()
        super().close()


def driver_of(by: Path | str | None) -> Driver:
    """Return who drives: a policy, by the file of its checkpoint; None: the program that runs, as a script.

    Raises CollectError if the file cannot be read.
    """
    if by is None:
        return this_program()
    try:
        return program(DriverKind.POLICY, Path(by).name, Path(by))
    except OSError as error:
        raise CollectError(
            f"{by} cannot be read: {error.strerror}. Name the file of the policy that drives."
        ) from error
