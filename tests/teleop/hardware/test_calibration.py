"""Which tick is which angle: files, conversions, and measuring an arm by hand."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop.hardware import sts3215
from teleop.hardware.calibration import (
    RAD_PER_TICK,
    SERVO_NAMES,
    Calibration,
    CalibrationError,
    JointCalibration,
    read_calibration,
)
from teleop.hardware.feetech import So101
from teleop.hardware.measure import Measurement, write_calibration
from tests.emulators.feetech import FeetechBus, ManualClock


@pytest.fixture
def bus() -> Iterator[FeetechBus]:
    with FeetechBus(clock=ManualClock()) as bus:
        yield bus


def written(path: Path, **changes: object) -> Path:
    entries = {name: {"id": n, "range_min": 900, "range_max": 3100} for n, name in enumerate(SERVO_NAMES, 1)}
    path.write_text(json.dumps({**entries, **changes}), encoding="utf-8")
    return path


def test_a_calibration_file_is_read(tmp_path: Path) -> None:
    gripper = {"id": 6, "drive_mode": 1, "homing_offset": -12, "range_min": 2000, "range_max": 3400}
    found = read_calibration(written(tmp_path / "arm.json", gripper=gripper))
    assert list(found) == list(SERVO_NAMES)
    assert found["gripper"] == JointCalibration(6, 2000, 3400, -12, 1)
    assert found["gripper"].to_opening(2000) == 1.0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"gripper": {"id": 6, "range_min": 900}}, "range_max"),
        ({"gripper": {"id": 6, "range_min": -1, "range_max": 5}}, "range_min"),
        ({"gripper": {"id": 6, "range_min": 900, "range_max": 901}}, "hardly a range"),
        ({"gripper": {"id": 1, "range_min": 900, "range_max": 3000}}, "the same servo id"),
        ({"tail": {"id": 7, "range_min": 900, "range_max": 3000}}, "tail"),
        ({"gripper": {"id": 6, "range_min": 900, "range_max": 3000, "colour": 1}}, "colour"),
    ],
)
def test_a_calibration_that_cannot_be_meant_is_refused(
    tmp_path: Path, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(CalibrationError, match=complaint):
        read_calibration(written(tmp_path / "arm.json", **changes))


def test_a_missing_calibration_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"none\.json"):
        read_calibration(tmp_path / "none.json")


joints = st.builds(
    lambda low, span, offset, mode: JointCalibration(1, low, min(low + span, 4095), offset, mode),
    st.integers(0, 3900),
    st.integers(100, 4095),
    st.integers(-2047, 2047),
    st.integers(0, 1),
)


@given(joint=joints, fraction=st.floats(0.0, 1.0))
def test_ticks_and_radians_are_one_to_one_within_the_range(joint: JointCalibration, fraction: float) -> None:
    tick = round(joint.range_min + fraction * (joint.range_max - joint.range_min))
    assert joint.to_tick(joint.to_rad(tick)) == tick
    assert abs(joint.opening_tick(joint.to_opening(tick)) - tick) <= 0
    assert abs(joint.to_rad(tick)) <= math.pi


@given(joint=joints, angle=st.floats(-10.0, 10.0))
def test_an_angle_becomes_a_tick_of_the_range(joint: JointCalibration, angle: float) -> None:
    tick = joint.to_tick(angle)
    assert joint.range_min <= tick <= joint.range_max
    low, high = sorted((joint.to_rad(joint.range_min), joint.to_rad(joint.range_max)))
    assert abs(joint.to_rad(tick) - min(max(angle, low), high)) <= 0.5 * RAD_PER_TICK + 1e-12


@given(joint=joints, tick=st.integers(-5000, 9000))
def test_a_wrapped_tick_is_found_near_the_range(joint: JointCalibration, tick: int) -> None:
    found = joint.unwrapped(tick)
    assert (found - tick) % 4096 == 0
    assert abs(found - joint.middle) <= 2048.5


@given(value=st.integers(-0x7FFF, 0x7FFF))
def test_a_sign_and_a_magnitude_make_a_number(value: int) -> None:
    assert sts3215.signed(sts3215.sign_magnitude(value, 15), 15) == value


def measured(bus: FeetechBus, reach: int) -> Calibration:
    """What comes of moving every joint `reach` ticks to either side of where it stands."""
    work = Measurement(bus.device, answer_wait_s=0.25)
    work.open()
    work.relax()
    work.centre()
    for change in (0, reach, -2 * reach, reach):
        for servo in bus.servos.values():
            servo.shaft += change
        work.look()
    work.close()
    return work.result()


def test_an_arm_is_measured_stored_and_driven(bus: FeetechBus, tmp_path: Path) -> None:
    for number, servo in bus.servos.items():
        servo.write(40, b"\x01")
        servo.shaft = (700.0 * number) % 4096
    found = measured(bus, 900)
    assert not any(servo.torque for servo in bus.servos.values())
    assert {(one.range_min, one.range_max) for one in found.values()} == {(1148, 2948)}
    write_calibration(tmp_path / "arm.json", found)
    arm = So101(bus.device, read_calibration(tmp_path / "arm.json"), answer_wait_s=0.25)
    for servo in bus.servos.values():
        servo.power_cycle()
    arm.connect()
    assert np.abs(arm.observe().values["joint_position"]).max() < 1e-9
    arm.disconnect()


def test_a_joint_that_was_not_moved_is_named(bus: FeetechBus) -> None:
    with pytest.raises(CalibrationError, match="shoulder_pan has hardly a range"):
        measured(bus, 5)


def test_a_joint_that_went_over_its_turn_is_named(bus: FeetechBus) -> None:
    with pytest.raises(CalibrationError, match="shoulder_pan went over the end"):
        measured(bus, 2100)


def test_the_door_measures_an_arm_with_a_persons_help(tmp_path: Path) -> None:
    path = tmp_path / "arm.json"
    with FeetechBus() as bus:
        command = [sys.executable, "-m", "armshare", "calibrate", bus.device, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as door:
            assert door.stdin is not None
            assert door.stdout is not None
            for said in iter(door.stdout.readline, ""):
                if "both ends" in said:
                    _swing(bus)
                if "Press Enter" in said:
                    door.stdin.write("\n")
                    door.stdin.flush()
        assert door.returncode == 0
    assert all(one.range_max - one.range_min == 1600 for one in read_calibration(path).values())


def _swing(bus: FeetechBus) -> None:
    """Move every joint to both ends, staying at each until it was seen there."""
    for change in (800, -1600):
        for servo in bus.servos.values():
            servo.shaft += change
        for _ in range(2):
            bus.next_request(0x82)
