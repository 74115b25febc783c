"""A real SO-100 or SO-101: six STS3215 servos on one serial bus, as a `sim.robot.Robot`.

Part of teleop; exports `So101`. The arm never jumps when torque comes on, moves no faster than its servos were told,
keeps its pose when the program ends, and raises a RobotFaultError when a servo is silent, hot, overloaded or limp.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Final

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
from sim.robots.so101 import DESCRIPTION, GRIPPER_JOINT, JOINT_NAMES
from teleop.hardware import sts3215
from teleop.hardware.calibration import (
    RAD_PER_TICK,
    SERVO_NAMES,
    TURN_TICKS,
    Calibration,
    JointCalibration,
    checked_calibration,
    default_calibration,
)
from teleop.hardware.sts3215 import Bus, Goal, ServoState

log = structlog.get_logger(__name__)

CONTROL_HZ: Final = 20.0
FREE: Final = TaskSpec("free", 1, "Drive the arm as you like.", max_steps=1200)
TEMPERATURE_MAX_C: Final = 65
"""The servos let go at 70 degrees by themselves, and the arm would fall; the episode ends before that."""
_GRIPPER_SPEED_TICK_S: Final = 3000
_ACCELERATION: Final = 150
_HELD_TICKS: Final = 23
"""A joint nearer than this (2 degrees) to its goal is held by that goal, and is not reset to where it has sagged."""
# Half the torque, and letting go early, so that a gripper that grasps or is blocked does not burn out.
_GRIPPER_TORQUE: Final = 500
_GRIPPER_GUARD: Final = (
    (sts3215.MAX_TORQUE, _GRIPPER_TORQUE),
    (sts3215.PROTECTION_CURRENT, 250),
    (sts3215.OVERLOAD_TORQUE, 25),
)


class ServoAlarmError(RobotFaultError):
    """A servo reports a fault of its own."""


class ServoHotError(RobotFaultError):
    """A servo is so warm that it would soon let go."""


class TorqueLostError(RobotFaultError):
    """A servo does not hold: it restarted, or its own protection let go."""


class BeyondTurnError(RobotFaultError):
    """A joint is where its servo counts another turn; its next goal would send it the long way round."""


class So101:
    """The arm. Its limits are the narrower of the URDF's and the calibration's.

    A servo takes a position in whole ticks, so at full speed, 65.2 ticks a period, every fifth step is one of 66: the
    spec says so, by its resolution.
    """

    def __init__(
        self,
        device: str,
        calibration: Calibration | None = None,
        *,
        task: TaskSpec = FREE,
        temperature_max_c: int = TEMPERATURE_MAX_C,
        retries: int = sts3215.RETRIES,
        answer_wait_s: float = sts3215.ANSWER_WAIT_S,
    ) -> None:
        """Prepare without opening anything. Raises CalibrationError."""
        found = default_calibration() if calibration is None else checked_calibration(calibration, "calibration")
        self._servos = found
        self._names = {found[name].id: name for name in SERVO_NAMES}
        self._spec = _spec(found, task)
        self._kinematics = Kinematics.of(self._spec)
        self._bus = Bus(device, self._names, retries=retries, answer_wait_s=answer_wait_s)
        self._temperature_max_c = temperature_max_c
        self._shifts = dict.fromkeys(self._names, 0)
        speeds = [round(speed / RAD_PER_TICK) for speed in self._spec.joint_velocity_max_rad_s.tolist()]
        self._speeds: dict[str, int] = dict(zip(SERVO_NAMES, (*speeds, _GRIPPER_SPEED_TICK_S), strict=True))

    @property
    def spec(self) -> RobotSpec:
        """Constant for the life of the object."""
        return self._spec

    @property
    def retried(self) -> int:
        """How often a request to the servos had to be repeated: a loose cable shows here first."""
        return self._bus.retried

    def connect(self) -> None:
        """Open the port, check every servo, and hold the arm where it is. Idempotent; asks nobody anything.

        Raises a RobotFaultError or a CalibrationError; then nothing was moved, and the port is closed again.
        """
        if self._bus.is_open:
            return
        with ExitStack() as undo:
            self._bus.open()
            undo.callback(self._bus.close)
            with self._bus.patiently():
                for number in self._names:
                    self._meet(number)
                self._guard_gripper()
                self._hold(self._looked())
                self._checked(self._looked())
            undo.pop_all()
        log.info("arm_connected", device=self._bus.device)

    def reset(self, seed: int) -> Observation:
        """Hold where the arm is, whatever the seed, and return the observation."""
        self._hold(self._checked(self._looked()))
        return self.observe()

    def observe(self) -> Observation:
        """Return what the servos report. Raises a RobotFaultError."""
        return Observation(self._values(self._checked(self._looked())))

    def send_action(self, action: Action) -> Action:
        """Send goals to all servos; return them as they are after the servos' own steps of 0.0015 rad."""
        if not self._bus.is_open:
            raise NotConnectedError(f"expected connect() before send_action(); {self._bus.device} is not open")
        within = checked(action, self._spec)
        angles = zip(JOINT_NAMES, within.joint_position.tolist(), strict=True)
        ticks = {name: self._inside(i, self._servos[name].to_tick(angle)) for i, (name, angle) in enumerate(angles)}
        gripper = self._servos[GRIPPER_JOINT]
        ticks[GRIPPER_JOINT] = gripper.opening_tick(float(within.gripper[0]))
        self._bus.move({self._servos[name].id: self._goal(name, tick) for name, tick in ticks.items()})
        sent = np.array([self._servos[name].to_rad(ticks[name]) for name in JOINT_NAMES])
        return Action(sent, np.array([gripper.to_opening(ticks[GRIPPER_JOINT])]))

    def disconnect(self, release: bool = False) -> None:
        """Close the port. The servos go on holding, unless `release` asks them to go limp: then the arm falls."""
        if not self._bus.is_open:
            return
        try:
            if release:
                for number in self._names:
                    self._bus.write(number, sts3215.TORQUE_ENABLE, 0)
        finally:
            self._bus.close()
        log.info("arm_disconnected", device=self._bus.device, released=release)

    def _meet(self, number: int) -> None:
        """Check that a servo is the right one, and work out how its ticks relate to the calibration's."""
        model = self._bus.read(number, sts3215.MODEL_NUMBER)
        mode = self._bus.read(number, sts3215.OPERATING_MODE)
        if model != sts3215.MODEL or mode != 0:
            raise sts3215.WrongServoError(
                f"servo {number} ({self._names[number]}) is of model {model} in mode {mode}; this arm needs an STS3215 "
                f"(model {sts3215.MODEL}) in position mode (0)"
            )
        offset = sts3215.signed(self._bus.read(number, sts3215.HOMING_OFFSET), 11)
        self._shifts[number] = self._servos[self._names[number]].shift(offset)

    def _guard_gripper(self) -> None:
        number = self._servos[GRIPPER_JOINT].id
        for register, value in _GRIPPER_GUARD:
            self._bus.save(number, register, value)
        self._bus.write(number, sts3215.TORQUE_LIMIT, _GRIPPER_TORQUE)

    def _hold(self, states: dict[int, ServoState]) -> None:
        """Make the measured position the goal of every joint that is not held already; only then switch torque on."""
        loose = {
            number: state
            for number, state in states.items()
            if not state.torque or abs(state.goal_tick - state.position_tick) > _HELD_TICKS
        }
        if not loose:
            return
        here = {number: state.position_tick % TURN_TICKS for number, state in loose.items()}
        self._bus.move({number: Goal(tick, self._speed(number), _ACCELERATION) for number, tick in here.items()})
        for number in loose:
            self._bus.write(number, sts3215.TORQUE_ENABLE, 1)

    def _looked(self) -> dict[int, ServoState]:
        """Return what the servos report; raise if one reports a fault, is hot, or is beyond its turn."""
        states = self._bus.states()
        for number, state in states.items():
            where = f"servo {number} ({self._names[number]})"
            if state.alarms:
                raise ServoAlarmError(
                    f"{where} reports {', '.join(state.alarms)}; take the load off the arm, then "
                    "switch its power off and on"
                )
            if state.temperature_c >= self._temperature_max_c:
                raise ServoHotError(
                    f"{where} has {state.temperature_c} degrees C, and {self._temperature_max_c} is the most; let the "
                    "arm rest in a pose that needs no force"
                )
            tick = self._unwrapped(number, state) + self._shifts[number]
            if not 0 <= tick < TURN_TICKS:
                raise BeyondTurnError(
                    f"{where} is at {tick}, outside its turn of {TURN_TICKS} ticks; move that joint back into "
                    "its range by hand, with the power off, or calibrate again"
                )
        return states

    def _checked(self, states: dict[int, ServoState]) -> dict[int, ServoState]:
        limp = [f"{number} ({self._names[number]})" for number, state in states.items() if not state.torque]
        if limp:
            raise TorqueLostError(
                f"no torque in servo {', '.join(limp)}: it restarted or protected itself; "
                "support the arm, look at its power supply, and connect again"
            )
        return states

    def _values(self, states: dict[int, ServoState]) -> dict[str, Vector]:
        arm = [(self._servos[name], states[self._servos[name].id]) for name in JOINT_NAMES]
        angles = np.array([servo.to_rad(self._unwrapped(servo.id, state)) for servo, state in arm])
        gripper = self._servos[GRIPPER_JOINT]
        opening = gripper.to_opening(self._unwrapped(gripper.id, states[gripper.id]))
        ordered = [states[self._servos[name].id] for name in SERVO_NAMES]
        return {
            "joint_position": angles,
            "joint_velocity": np.array([servo.sign * state.speed_tick_s * RAD_PER_TICK for servo, state in arm]),
            "gripper_position": np.array([opening]),
            "ee_pose": self._kinematics.forward(angles),
            "servo_load": np.array([state.load for state in ordered]),
            "servo_current": np.array([state.current_a for state in ordered]),
            "servo_temperature": np.array([float(state.temperature_c) for state in ordered]),
            "servo_voltage": np.array([state.voltage_v for state in ordered]),
        }

    def _unwrapped(self, number: int, state: ServoState) -> int:
        return self._servos[self._names[number]].unwrapped(state.position_tick - self._shifts[number])

    def _goal(self, name: str, tick: int) -> Goal:
        number = self._servos[name].id
        return Goal(tick + self._shifts[number], self._speed(number), _ACCELERATION)

    def _speed(self, number: int) -> int:
        return self._speeds[self._names[number]]

    def _inside(self, joint: int, tick: int) -> int:
        """Return the tick, one nearer to the middle if rounding took it over a limit."""
        servo = self._servos[JOINT_NAMES[joint]]
        angle = servo.to_rad(tick)
        if angle > self._spec.joint_upper_rad[joint]:
            return tick - servo.sign
        if angle < self._spec.joint_lower_rad[joint]:
            return tick + servo.sign
        return tick


def _spec(servos: Calibration, task: TaskSpec) -> RobotSpec:
    ends = [_ends(servos[name]) for name in JOINT_NAMES]
    lower = np.maximum(DESCRIPTION.joint_lower_rad, [low for low, _ in ends])
    upper = np.minimum(DESCRIPTION.joint_upper_rad, [high for _, high in ends])
    observation = (*DESCRIPTION.arrays, *_SERVO_ARRAYS)
    spec = DESCRIPTION.spec(observation, simulated=False, control_hz=CONTROL_HZ, task=task)
    home = np.clip(DESCRIPTION.home_rad, lower, upper)
    resolution = np.full(spec.joints, RAD_PER_TICK)
    return replace(spec, joint_lower_rad=lower, joint_upper_rad=upper, home_rad=home, joint_resolution_rad=resolution)


def _ends(servo: JointCalibration) -> tuple[float, float]:
    low, high = sorted((servo.to_rad(servo.range_min), servo.to_rad(servo.range_max)))
    return low, high


_SERVO_ARRAYS: Final = (
    ArraySpec("servo_load", (len(SERVO_NAMES),), "1", "of the most the motor can, signed; the gripper is the last"),
    ArraySpec("servo_current", (len(SERVO_NAMES),), "A", "motor current, signed"),
    ArraySpec("servo_temperature", (len(SERVO_NAMES),), "degC", "inside the servo"),
    ArraySpec("servo_voltage", (len(SERVO_NAMES),), "V", "supply at the servo"),
)
