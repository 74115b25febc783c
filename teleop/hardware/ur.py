"""A real UR5e with a Robotiq gripper, through the client `ur-rtde`, as a `sim.robot.Robot`.

Part of teleop; exports `Ur5e`. The controller closes the loop and has a safety system of its own; here a target goes
to it in each period, and whatever stops it becomes a RobotFaultError with a sentence. What the client does not tell is
watched here: it calls a controller that went silent connected, and takes targets for one that is gone. And since it may
then hang, with Python's lock held, this driver belongs in a process of its own (`teleop.hardware.apart`).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import numpy as np
import structlog

from sim.motion.kinematics import Kinematics
from sim.robot import (
    Action,
    ArraySpec,
    NotConnectedError,
    Observation,
    RobotFaultError,
    RobotSpec,
    TaskSpec,
    Vector,
    checked,
)
from sim.robots.ur5e_gripper import DESCRIPTION, JOINT_NAMES
from teleop.hardware.robotiq import RobotiqGripper

log = structlog.get_logger(__name__)

CONTROL_HZ: Final = 125.0
SILENT_S: Final = 0.25
"""How long the controller may send nothing while it is driven; then the drive ends, and it stops by itself."""
_REACH_S: Final = 3.0
_DASHBOARD: Final = 29999
_MODEL: Final = "UR5"
"""What the dashboard calls a UR5e."""
_LOOKAHEAD_S: Final = 0.1
_GAIN: Final = 300.0
_REASON_PERIODS: Final = 10
_GRIPPER_EVERY: Final = 5
"""It is told where to go in every fifth period at most, which is still 25 times a second."""
_RUNNING: Final = 7
_MODES: Final = {3: "powered off", 4: "powered on, with its brakes on", 5: "idle, with its brakes on", 8: "updating"}
_SAFETY: Final = {
    3: "made a protective stop, as after a collision; look at it, and release the stop at the pendant",
    4: "is recovering: a joint is beyond a safety limit; move it back at the pendant",
    5: "made a safeguard stop; see to the safeguard",
    6: "was stopped by an emergency stop of the system; release it, then power the arm on at the pendant",
    7: "was stopped by the emergency stop at its pendant; release it, then power the arm on at the pendant",
    8: "reports a violation of its safety limits; restart it at the pendant",
    9: "reports a safety fault; restart it at the pendant",
}
_ARRAYS: Final = (
    ArraySpec("joint_current", (len(JOINT_NAMES),), "A", "measured"),
    ArraySpec("joint_temperature", (len(JOINT_NAMES),), "degC", "measured"),
)


class UrLostError(RobotFaultError):
    """The controller cannot be reached, or its connection went away."""


class UrSilentError(RobotFaultError):
    """The controller is connected and sends nothing."""


class UrStoppedError(RobotFaultError):
    """The controller's own safety system has stopped the arm."""


class UrNotReadyError(RobotFaultError):
    """The arm is off, its brakes are on, it is under local control, or its program was ended."""


class WrongUrError(RobotFaultError):
    """What answers is another model."""


class Ur5e:
    """The arm. When the program ends, it stops and holds by itself."""

    def __init__(
        self,
        host: str,
        *,
        task: TaskSpec,
        silent_s: float = SILENT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`host`: the controller's IP address. Opens nothing."""
        self._host, self._silent_s, self._monotonic = host, silent_s, monotonic
        observation = (*DESCRIPTION.arrays, *_ARRAYS)
        self._spec = DESCRIPTION.spec(observation, simulated=False, control_hz=CONTROL_HZ, task=task)
        self._kinematics = Kinematics.of(self._spec)
        self._receive: Any = None
        self._control: Any = None
        self._gripper: RobotiqGripper | None = None
        self._stamp, self._stamp_s = -1.0, 0.0
        self._period = self._gripper_due = 0
        self._told = 1.0

    @property
    def spec(self) -> RobotSpec:
        """Constant for the life of the object."""
        return self._spec

    @property
    def stamp_s(self) -> float:
        """The controller's own clock at the data that came last, s."""
        self._require_open("stamp_s")
        return float(self._receive.getTimestamp())

    def connect(self) -> None:
        """Reach the controller, and take over an arm that a person has switched on. Idempotent; nothing moves.

        Raises a RobotFaultError; then the arm is as it was.
        """
        if self._gripper is not None:
            return
        from rtde_control import RTDEControlInterface
        from rtde_receive import RTDEReceiveInterface

        with ExitStack() as undo:
            self._require_model()
            undo.callback(self._closed)
            self._receive = self._reached(lambda: RTDEReceiveInterface(self._host, CONTROL_HZ))
            self._stamp_s = self._monotonic()
            self._require_well()
            self._require_on()
            self._control = self._reached(lambda: RTDEControlInterface(self._host, CONTROL_HZ))
            self._gripper = RobotiqGripper(self._host, _REACH_S)
            self._told = self._gripper.opening
            undo.pop_all()
        log.info("arm_connected", host=self._host)

    def reset(self, seed: int) -> Observation:
        """Hold where the arm is, whatever the seed, and return the observation."""
        seen = self.observe()
        self._servo(seen.values["joint_position"])
        return seen

    def observe(self) -> Observation:
        """Return what the controller reports. Raises a RobotFaultError."""
        gripper = self._require_open("observe()")
        self._require_well()
        gripper.ask()
        position = np.array(self._receive.getActualQ(), dtype=np.float64)
        values = {
            "joint_position": position,
            "joint_velocity": np.array(self._receive.getActualQd(), dtype=np.float64),
            "gripper_position": np.array([gripper.opening]),
            "ee_pose": self._kinematics.forward(position),
            "joint_current": np.array(self._receive.getActualCurrent(), dtype=np.float64),
            "joint_temperature": np.array(self._receive.getJointTemperatures(), dtype=np.float64),
        }
        return Observation(values)

    def send_action(self, action: Action) -> Action:
        """Send one target to the arm, and now and then one to its gripper; return what they were sent to."""
        gripper = self._require_open("send_action()")
        within = checked(action, self._spec)
        self._require_well()
        self._servo(within.joint_position)
        gripper.ask()
        self._period += 1
        opening = float(within.gripper[0])
        if opening != self._told and self._period >= self._gripper_due:
            self._told = gripper.tell(opening)
            self._gripper_due = self._period + _GRIPPER_EVERY
        return Action(within.joint_position, np.array([self._told]))

    def disconnect(self) -> None:
        """Stop following, and close the connection; the arm holds. Idempotent."""
        if self._gripper is not None:
            self._closed()
            log.info("arm_disconnected", host=self._host)

    def _closed(self) -> None:
        receive, control, gripper = self._receive, self._control, self._gripper
        alive = self._alive()
        self._receive = self._control = self._gripper = None
        if gripper is not None:
            gripper.close()
        if not alive:
            return  # the client would wait for ever for data, and hold Python's lock meanwhile
        if control is not None:
            if control.isProgramRunning():
                control.servoStop()
                control.stopScript()
            control.disconnect()
        if receive is not None:
            receive.disconnect()

    def _require_open(self, what: str) -> RobotiqGripper:
        if self._gripper is None:
            raise NotConnectedError(f"expected connect() before {what}; {self._host} is not open")
        return self._gripper

    def _require_model(self) -> None:
        """Raise if nobody is there, or another model: its limits and its links would be wrong."""
        try:
            with socket.create_connection((self._host, _DASHBOARD), _REACH_S) as one, one.makefile("rb") as lines:
                lines.readline()  # its greeting
                one.sendall(b"get robot model\n")
                model = lines.readline().decode("ascii", "replace").strip()
        except OSError as error:
            raise UrLostError(
                f"the arm at {self._host} cannot be reached ({error}); is its controller on, and is this computer in "
                "its network?"
            ) from error
        if model != _MODEL:
            raise WrongUrError(f"the arm at {self._host} is a {model[:40] or 'nameless one'}; this needs a UR5e")

    def _reached(self, connect: Callable[[], Any]) -> Any:
        try:
            return connect()
        except RuntimeError as error:  # all that the client raises
            raise UrNotReadyError(
                f"the arm at {self._host} does not let itself be driven ({error}); at the pendant, switch it to remote "
                "control and end the program that runs"
            ) from error

    def _require_on(self) -> None:
        mode = self._receive.getRobotMode()
        if mode != _RUNNING:
            said = f"the arm at {self._host} is {_MODES.get(mode, f'in mode {mode}')}"
            raise UrNotReadyError(f"{said}; switch it on and release its brakes at the pendant, where you see it")

    def _alive(self) -> bool:
        """Whether data still comes: the client does not notice if it ends without a word."""
        if self._receive is None or not self._receive.isConnected():
            return False
        stamp, now_s = self._receive.getTimestamp(), self._monotonic()
        if stamp != self._stamp:
            self._stamp, self._stamp_s = stamp, now_s
        return now_s - self._stamp_s <= self._silent_s

    def _require_well(self) -> None:
        """Raise if the controller is gone or silent, or has stopped the arm."""
        if not self._alive():
            if not self._receive.isConnected():
                raise UrLostError(f"the arm at {self._host} is gone; look at its controller and at the network cable")
            raise UrSilentError(
                f"the arm at {self._host} has sent nothing for {self._silent_s:g} s; look at the network cable, and "
                "use no wireless link"
            )
        mode = self._receive.getSafetyMode()
        if mode in _SAFETY:
            raise UrStoppedError(f"the arm at {self._host} {_SAFETY[mode]}")

    def _servo(self, target: Vector) -> None:
        """Send a target."""
        period_s = 1.0 / CONTROL_HZ
        if not self._control.servoJ(target.tolist(), 0.0, 0.0, period_s, _LOOKAHEAD_S, _GAIN):
            for _ in range(_REASON_PERIODS):  # why it ended may come a little after that it ended
                time.sleep(period_s)
                self._require_well()
            raise UrNotReadyError(
                f"the program that drives the arm at {self._host} was ended at the pendant; start the drive again there"
            )
