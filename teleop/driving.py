"""What one control period does with a robot, from the state of safety and the newest command.

Part of teleop; exports `relieve` and `directed`. A host drives by them, and a replay of its episode drives by them
again: so the two cannot come apart. Who may drive, and when, is `safety.py`'s to say.
"""

from __future__ import annotations

from typing import Final

from sim.motion.arm import Arm
from sim.motion.control import Directive
from sim.robot import RobotSpec
from teleop.wire.messages import Command, Safety
from teleop.wire.setpoints import setpoint_of

_LETS_GO: Final = frozenset({Safety.EXPIRED, Safety.ESTOPPED})


def relieve(arm: Arm, safety: Safety) -> None:
    """Begin a period: once at rest after a stop or an expiry, the arm lets go of what it presses against."""
    if safety in _LETS_GO:
        arm.let_go()


def directed(arm: Arm, safety: Safety, newest: Command | None, spec: RobotSpec) -> Directive:
    """Return the period's motion: what the newest command asks if the robot is driving, else coming to rest."""
    if safety is not Safety.DRIVING or newest is None:
        return arm.hold()
    setpoint = setpoint_of(newest, spec)
    return arm.hold() if setpoint is None else arm.step(setpoint)
