"""Who drives from a terminal: a policy, an expert, a recorded episode, the first drive, a person, or two of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from armshare.failures import DoorError, PlatformError
from armshare.researcher.checks import episode_in
from recorder.file.episode import Episode as Recording
from sim.motion.control import Joints
from teleop.operator import pilot
from teleop.operator import policy as policies
from teleop.operator.first_drive import FirstDrive
from teleop.operator.gamepad import GamepadPilot, opened
from teleop.operator.pilot import Answer, Ask, Crew, Descriptor, Pilot, PilotMaker, Values
from teleop.operator.policy import load
from teleop.operator.program import script
from teleop.operator.takeover import Takeover
from teleop.wire.driver import PERSON
from teleop.wire.messages import Safety, State

EXPERTS: Final = Crew(pilot.expert, pilot.expert_said)
"""Each task's own scripted operator."""
_SETTLE_STATES: Final = 20
"""How many states the last row of a recorded episode is held for, so that the robot can get there."""


class OtherRobotError(DoorError):
    """A recorded episode is of another kind of robot."""


@contextlib.contextmanager
def crewed(
    *,
    policy: str,
    expert: bool,
    episode: Path | None,
    gamepad: Path | None,
    first_drive: bool,
    checkpoint: Path | None = None,
) -> Iterator[Crew]:
    """Yield who drives: a program (a policy, the expert, a recorded episode, the first drive), a person, or both.

    A policy may have a checkpoint. A gamepad beside a program is for a person who takes over from it.
    """
    program = _program(policy, episode, checkpoint, expert=expert, first_drive=first_drive)
    if gamepad is None:
        if program is None:
            raise PlatformError("Nobody drives: name a policy, an episode, a gamepad, the expert or the first drive.")
        yield program
        return
    with opened(gamepad) as device:

        def person(robot: Descriptor, _task: str) -> GamepadPilot:
            return GamepadPilot(device, robot)

        if program is None:
            yield Crew(person, lambda _robot, _task: PERSON)
        else:
            make, said = program.make, program.said
            yield Crew(lambda robot, task: Takeover(make(robot, task), person(robot, task)), said)


def _program(
    policy: str, episode: Path | None, checkpoint: Path | None, *, expert: bool, first_drive: bool
) -> Crew | None:
    if first_drive:
        return Crew(FirstDrive, lambda _robot, _task: script(FirstDrive))
    if episode is not None:
        return Crew(recorded(episode), lambda _robot, _task: script(RecordingPilot))
    if policy:
        make, said = load(policy, checkpoint), policies.said(policy, checkpoint)
        return Crew(make, lambda _robot, _task: said)
    return EXPERTS if expert else None


class RecordingPilot:
    """Asks for the joint targets that a recorded episode's robot was given, one row for each of the robot's periods."""

    def __init__(self, recording: Recording, robot: Descriptor) -> None:
        joints, hands = recording.applied_joint_position.shape[1], recording.applied_gripper.shape[1]
        here = robot["model"], len(robot["joint_names"]), len(robot["end_effectors"])
        if (recording.meta.robot.model, joints, hands) != here:
            said = "This robot is a {} ({} joints, {} hands), and the episode is of a {} ({} joints, {} hands)."
            told = said.format(*here, recording.meta.robot.model, joints, hands)
            raise OtherRobotError(f"{told} Name a robot of the same model with --robot.")
        self._joints, self._gripper = recording.applied_joint_position, recording.applied_gripper
        self._row, self._last_seq = 0, 0

    def act(self, state: State, _values: Values) -> Answer:
        """Return the row that is due: rows advance with the robot's own periods, and not while it does not drive."""
        if state.safety is Safety.DRIVING and self._last_seq:
            self._row += state.seq - self._last_seq
        self._last_seq = state.seq
        last = len(self._joints) - 1
        if self._row > last + _SETTLE_STATES:
            return Ask.FINISH
        row = min(self._row, last)
        return Joints(self._joints[row], self._gripper[row])


def task_of(folder: Path | None) -> str:
    """Return the task of the episode in `folder`, empty if none is given; raise an EpisodeError."""
    return "" if folder is None else episode_in(folder).meta.task.name


def recorded(folder: Path) -> PilotMaker:
    """Return what re-drives the episode in `folder`; raise an EpisodeError if there is none."""
    recording = episode_in(folder)

    def make(robot: Descriptor, _task: str) -> Pilot:
        return RecordingPilot(recording, robot)

    return make
