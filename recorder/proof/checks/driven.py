"""An episode's commands as what drives an arm again: the newest that counted at each step, if safety let it drive.

`/commands` and `/safety` are taken as they are; other gates check them.
"""

from __future__ import annotations

from typing import Final

from recorder.file.commands import begins
from recorder.file.episode import Episode
from sim.motion.arm import Arm
from sim.motion.control import Directive
from sim.physics.replay import Direct, ReplayMismatchError
from sim.robot import RobotSpec
from teleop.driving import directed, relieve
from teleop.wire.messages import Command, Safety, WireError

_STATES: Final = {int(state): state for state in Safety if state is not Safety.FAULTED}
"""What `/safety` may say: a robot that broke ends its episode."""
_NONE_YET: Final = -1
"""As `Episode.newest_command` says that there is no command yet."""


def direction(episode: Episode, spec: RobotSpec) -> Direct:
    """Return what each step of an episode does with the arm, exactly as its host's session does it."""
    states, newest = episode.arrays["safety"].tolist(), _Newest(episode)

    def direct(step: int, arm: Arm) -> Directive:
        state = _STATES.get(states[step])
        if state is None:
            raise ReplayMismatchError(step, "safety", states[step], f"one of {sorted(_STATES)}")
        relieve(arm, state)
        return directed(arm, state, newest.at(step) if state is Safety.DRIVING else None, spec)

    return direct


class _Newest:
    """The newest admitted command at each step; only those that drove are read."""

    def __init__(self, episode: Episode) -> None:
        self._bytes, self._ends = episode.arrays["commands/bytes"], episode.arrays["commands/end"]
        self._begins, self._at = begins(episode.arrays), episode.newest_command.tolist()
        self._read = _NONE_YET
        self._command: Command | None = None

    def at(self, step: int) -> Command | None:
        """Return the one at a step; None if there is none yet. Raises ReplayMismatchError if it is not a command."""
        index = self._at[step]
        if index != self._read:
            self._read, self._command = index, None if index == _NONE_YET else self._decoded(step, index)
        return self._command

    def _decoded(self, step: int, index: int) -> Command:
        data = self._bytes[self._begins[index] : self._ends[index]].tobytes()
        try:
            return Command.decode(data)
        except WireError as error:
            raise ReplayMismatchError(step, f"commands[{index}]", data[:8].hex(), str(error)) from error
