"""A real UFACTORY xArm6 with UFACTORY's gripper, through the maker's SDK, as a `sim.robot.Robot`.

Part of teleop; exports `XArm6`. The control box closes the loop, has brakes, and stops by itself at a collision; here
a target goes to it in each period, and whatever it reports becomes a RobotFaultError with its own sentence.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any, Final

import numpy as np
import structlog

from sim.motion.kinematics import Kinematics
from sim.robot import (
    Action,
    ArraySpec,
    NotConnectedError,
    Observation,
    RobotError,
    RobotFaultError,
    RobotSpec,
    TaskSpec,
    Vector,
    checked,
)
from sim.robots.xarm6_gripper import DESCRIPTION, JOINT_NAMES

log = structlog.get_logger(__name__)

CONTROL_HZ: Final = 50.0
PORT: Final = 502
ANSWER_WAIT_S: Final = 0.3
"""How long the box may take to answer while it is driven; after that the drive ends, and it holds."""
PULSES: Final = 850
"""The gripper's position when it is open; 0 is closed."""
_GRIPPER_SPEED: Final = 3000
_GRIPPER_EVERY: Final = 5
"""The gripper sits on a slow bus behind the box: it is asked in each fifth period, and told no more often."""
_SERVO_MODE: Final = 1
_TYPES: Final = frozenset({1, 6})
"""The maker's numbers of the six-axis arms whose joints count as the URDF's do. A Lite 6 or an 850 is another arm."""
_REACH_S: Final = 3.0
_ERROR, _WARNING, _TIMEOUT, _NOT_READY = 1, 2, 3, 9
_ARM_ARRAYS: Final = (ArraySpec("joint_torque", (len(JOINT_NAMES),), "N m", "as the box estimates it"),)


class XArmLostError(RobotFaultError):
    """The control box cannot be reached, or its connection went away."""


class XArmSilentError(RobotFaultError):
    """The control box is there, and does not answer."""


class XArmAlarmError(RobotFaultError):
    """The control box reports an error of its own."""


class XArmStoppedError(RobotFaultError):
    """The arm was paused or stopped by something else than this program."""


class XArmGripperError(RobotFaultError):
    """The gripper reports an error, or does not answer."""


class WrongXArmError(RobotFaultError):
    """What answers is no xArm6 that this program can drive."""


class XArmAddressError(RobotError):
    """What is said of where the control box is, is no address."""


class XArm6:
    """The arm. It holds when the program ends: the box keeps its motors on, and brakes if they go off."""

    def __init__(self, address: str, *, task: TaskSpec, answer_wait_s: float = ANSWER_WAIT_S) -> None:
        """`address`: the control box's IP address or name, with `:PORT` if it is not 502. Opens nothing.

        Raises XArmAddressError.
        """
        host, _, port = address.partition(":")
        if not host or not (port.isdecimal() and 0 < int(port) < 65536 if port else True):
            raise XArmAddressError(f"expected the address of the control box, such as 192.168.1.201, got {address!r}")
        self._host, self._port = host, int(port) if port else PORT
        self._answer_wait_s = answer_wait_s
        observation = (*DESCRIPTION.arrays, *_ARM_ARRAYS)
        self._spec = DESCRIPTION.spec(observation, simulated=False, control_hz=CONTROL_HZ, task=task)
        self._kinematics = Kinematics.of(self._spec)
        self._box: Any = None
        self._period = self._gripper_due = 0
        self._opening = 1.0
        self._pulses = PULSES

    @property
    def spec(self) -> RobotSpec:
        """Constant for the life of the object."""
        return self._spec

    def connect(self) -> None:
        """Reach the box, switch the motors on where they are, and take over. Idempotent; nothing moves.

        Raises a RobotFaultError. An error that the box shows is not cleared here: a person looks at the arm first.
        """
        if self._box is not None:
            return
        with ExitStack() as undo:
            self._box = _reached(self._host, self._port)
            undo.callback(self._closed)
            self._require_xarm6()
            self._require_well()
            self._told("switch its motors on", lambda box: box.motion_enable(True))
            self._told("take targets", lambda box: box.set_mode(_SERVO_MODE))
            self._told("get ready", lambda box: box.set_state(0))
            self._told_gripper(lambda box: box.set_gripper_enable(True))
            self._told_gripper(lambda box: box.set_gripper_mode(0))
            self._told_gripper(lambda box: box.set_gripper_speed(_GRIPPER_SPEED))
            self._opening = self._asked_gripper()
            self._pulses = round(self._opening * PULSES)
            self._box.set_timeout(self._answer_wait_s)
            self._looked()
            undo.pop_all()
        log.info("arm_connected", host=self._host, port=self._port)

    def reset(self, seed: int) -> Observation:
        """Hold where the arm is, whatever the seed, and return the observation."""
        seen = self.observe()
        self._sent(seen.values["joint_position"])
        return seen

    def observe(self) -> Observation:
        """Return what the box reports. Raises a RobotFaultError."""
        position, velocity, torque = self._looked()
        if self._period % _GRIPPER_EVERY == 0:
            self._opening = self._asked_gripper()
        values = {
            "joint_position": position,
            "joint_velocity": velocity,
            "gripper_position": np.array([self._opening]),
            "ee_pose": self._kinematics.forward(position),
            "joint_torque": torque,
        }
        return Observation(values)

    def send_action(self, action: Action) -> Action:
        """Send one target; return it as it is after the box's single precision and the gripper's own steps."""
        self._require_open("send_action()")
        within = checked(action, self._spec)
        sent = self._sent(within.joint_position)
        pulses = round(float(within.gripper[0]) * PULSES)
        self._period += 1
        if pulses != self._pulses and self._period >= self._gripper_due:
            self._told_gripper(lambda box: box.set_gripper_position(pulses, wait=False, no_check=True))
            self._pulses, self._gripper_due = pulses, self._period + _GRIPPER_EVERY
        return Action(sent, np.array([self._pulses / PULSES]))

    def disconnect(self) -> None:
        """Close the connection. The arm holds, with its motors on. Idempotent."""
        if self._box is not None:
            self._closed()
            log.info("arm_disconnected", host=self._host)

    def _closed(self) -> None:
        box, self._box = self._box, None
        with redirect_stdout(io.StringIO()):
            box.disconnect()

    def _require_open(self, what: str) -> None:
        if self._box is None:
            raise NotConnectedError(f"expected connect() before {what}; {self._host} is not open")

    def _require_xarm6(self) -> None:
        axes, kind = self._box.axis, self._box.device_type
        if axes != len(JOINT_NAMES) or kind not in _TYPES:
            found = f"the arm at {self._host} has {axes} axes and is of type {kind}"
            types = " or ".join(str(one) for one in sorted(_TYPES))
            raise WrongXArmError(f"{found}; this needs an xArm6, with {len(JOINT_NAMES)} axes and of type {types}")

    def _require_well(self) -> None:
        """Raise XArmAlarmError if the box reports an error."""
        code, found = self._box.get_err_warn_code()
        self._require_answered(code)
        if found[0]:
            raise XArmAlarmError(self._alarm(found[0]))

    def _alarm(self, number: int) -> str:
        from xarm.core.config.x_code import ControllerError  # the maker's own sentences

        said = ControllerError(number, status=0).title["en"]
        return (
            f"the arm at {self._host} reports error {number} ({said}); look at the arm, put right what is wrong, clear "
            "the error in UFACTORY Studio, and start again"
        )

    def _require_answered(self, code: int) -> None:
        """Raise if a request was not answered, or the connection is gone."""
        if not self._box.connected or code in (-1, 8):
            raise XArmLostError(f"the arm at {self._host} is gone; look at its control box and at the network cable")
        if code == _TIMEOUT:
            raise XArmSilentError(
                f"the arm at {self._host} does not answer within {self._answer_wait_s:g} s; look at the network cable, "
                "and use no wireless link"
            )

    def _told(self, what: str, tell: Callable[[Any], int]) -> None:
        """Tell the box something, and raise if it did not do it."""
        code = tell(self._box)
        self._require_answered(code)
        if code in (_ERROR, _NOT_READY) or self._box.has_err_warn:
            self._require_well()
        if code == _NOT_READY:
            raise XArmStoppedError(
                f"the arm at {self._host} was paused or stopped by somebody else, or by its own protection; end other "
                "programs that use it, and start again"
            )
        if code:
            raise XArmAlarmError(f"the arm at {self._host} would not {what}: its box answers with code {code}")

    def _told_gripper(self, tell: Callable[[Any], int]) -> None:
        code = tell(self._box)
        self._require_answered(code)
        if code:
            raise self._gripper_error(code)

    def _asked_gripper(self) -> float:
        """Return the gripper's opening."""
        found = self._box.get_gripper_position(check_baud=False)
        code, pulses = found if isinstance(found, tuple) else (found, None)
        self._require_answered(code)
        if code or pulses is None:
            raise self._gripper_error(code)
        return float(min(max(pulses / PULSES, 0.0), 1.0))

    def _gripper_error(self, code: int) -> XArmGripperError:
        return XArmGripperError(
            f"the gripper of the arm at {self._host} does not answer, or reports a fault (code {code}); look at its "
            "cable and at what it holds"
        )

    def _looked(self) -> tuple[Vector, Vector, Vector]:
        """Return angles, speeds and torques; raise if the box reports an error."""
        self._require_open("this")
        code, found = self._box.get_joint_states(is_radian=True)
        self._require_answered(code)
        if self._box.has_err_warn:
            self._require_well()
        position, velocity, torque = (np.array(one[: len(JOINT_NAMES)], dtype=np.float64) for one in found)
        return position, velocity, torque

    def _sent(self, angles: Vector) -> Vector:
        """Send a target; return it in the precision in which the box takes it, never beyond a limit."""
        low, high = self._spec.joint_lower_rad, self._spec.joint_upper_rad
        rounded = np.clip(angles, low, high).astype(np.float32)
        rounded = np.where(rounded.astype(np.float64) > high, np.nextafter(rounded, np.float32(-np.inf)), rounded)
        rounded = np.where(rounded.astype(np.float64) < low, np.nextafter(rounded, np.float32(np.inf)), rounded)
        target: Vector = rounded.astype(np.float64)
        self._told("follow", lambda box: _follow(box, target))
        return target


def _follow(box: Any, target: Vector) -> int:
    """Send a target, below the client's own method, which writes a line to the log for each of them.

    That method would know the mode only from reports, which are not read here, and so doubts it.
    """
    sent = box.core.move_servoj([*target.tolist(), 0.0], 0.0, 0.0, 0.0)[0]
    return int(sent) if sent not in (0, _WARNING) or box.core.state_is_ready else _NOT_READY


def _reached(host: str, port: int) -> Any:
    """Return the maker's client, connected; raise XArmLostError."""
    with _quietly():
        from xarm.core.config.x_config import XCONF
        from xarm.wrapper import XArmAPI

    try:
        socket.create_connection((host, port), _REACH_S).close()  # the maker's client says nothing of why it could not
        number = socket.gethostbyname(host)  # the client takes a name for a serial port
        with _quietly():
            XCONF.SocketConf.TCP_CONTROL_PORT = port
            box = XArmAPI(number, is_radian=True, do_not_open=True, enable_report=False, timed_comm=False)
            box.connect()
    except Exception as error:  # of which the client raises only the plainest
        raise XArmLostError(
            f"the arm at {host}:{port} cannot be reached ({error}); is its control box on, and is this computer in "
            "its network?"
        ) from error
    return box


@contextmanager
def _quietly() -> Iterator[None]:
    """Undo what the maker's client does to the whole process: it prints, and sets a timeout."""
    before = socket.getdefaulttimeout()
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)
