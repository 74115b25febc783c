"""Which real arms there are, by name. Looking them up loads no maker's library; `open_arm` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from sim.robot import Robot, RobotError, TaskSpec, steps_in
from sim.words import listed
from teleop.hardware.apart import Apart

_FREE: Final = "free"
_ANYTHING: Final = "Drive the arm as you like."
LENGTH_S: Final = 60.0
"""How long an episode of a real arm may be, unless its owner says otherwise."""


class UnknownArmError(RobotError):
    """No real arm has that name, or it takes no calibration."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A kind of real arm."""

    module: str
    """It exports `CONTROL_HZ`."""
    robot: str
    """The class in it, made from where the arm is, a calibration if the arm is calibrated here, and a task."""
    where: str
    """What `--port` is for it, in words."""
    calibrated: bool = False
    """Whether it needs to be measured here; other arms know where their joints are."""
    apart: bool = False
    """Whether its driver needs a process of its own, since its maker's library may hang."""


ARMS: Final = {
    "so101": Arm("teleop.hardware.feetech", "So101", "the serial device of its adapter", calibrated=True),
    "ur5e_gripper": Arm("teleop.hardware.ur", "Ur5e", "the IP address of its controller", apart=True),
    "xarm6_gripper": Arm("teleop.hardware.xarm", "XArm6", "the IP address of its control box"),
}


def open_arm(
    kind: str,
    where: str,
    *,
    task: str = _FREE,
    instruction: str = "",
    length_s: float = LENGTH_S,
    calibration: Path | None = None,
) -> Robot:
    """Return a real arm, not yet connected; raise UnknownArmError, CalibrationError or EpisodeLengthError."""
    arm = ARMS.get(kind)
    if arm is None:
        known = f"{kind!r} is not a real robot that can be driven here: {listed(tuple(ARMS))} can"
        raise UnknownArmError(f"{known}. Without --port, the robot is simulated.")
    if calibration and not arm.calibrated:
        raise UnknownArmError(f"{kind} knows where its joints are, and takes no calibration; leave --calibration out.")
    module = import_module(arm.module)
    made: Callable[..., Robot] = getattr(module, arm.robot)
    steps = steps_in(length_s, module.CONTROL_HZ)
    wanted = TaskSpec(task if instruction else _FREE, 1, instruction or _ANYTHING, steps)
    more: dict[str, Any] = {}
    if arm.calibrated and calibration:
        from teleop.hardware.calibration import read_calibration

        more["calibration"] = read_calibration(calibration)
    make = partial(made, where, **more, task=wanted)
    return Apart(make, make().spec) if arm.apart else make()
