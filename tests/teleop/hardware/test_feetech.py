"""The real SO-101 driver, through the vendor's SDK, against a bus of emulated servos."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.contract import RobotContract
from sim.robot import Action, Robot, RobotFaultError
from teleop.hardware.calibration import (
    RAD_PER_TICK,
    SERVO_NAMES,
    Calibration,
    CalibrationError,
    JointCalibration,
    default_calibration,
)
from teleop.hardware.feetech import (
    BeyondTurnError,
    ServoAlarmError,
    ServoHotError,
    So101,
    TorqueLostError,
)
from teleop.hardware.sts3215 import Bus, PortLostError, Register, ServoSilentError, ServoState, WrongServoError
from tests.emulators.feetech import FeetechBus, ManualClock, Packet, PacketReader, Servo

PERIOD_S = 0.05


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def bus(clock: ManualClock) -> Iterator[FeetechBus]:
    with FeetechBus(clock=clock) as bus:
        yield bus


@pytest.fixture
def arm(bus: FeetechBus) -> Iterator[So101]:
    arm = patient(bus)
    arm.connect()
    yield arm
    arm.disconnect()


def patient(bus: FeetechBus, calibration: Calibration | None = None) -> So101:
    """An arm that waits long enough for an emulated servo on a busy machine."""
    return So101(bus.device, calibration, answer_wait_s=0.25)


def let_pass(seconds: float, arm: Robot, clock: ManualClock) -> None:
    """Let time pass once the servos have their goals, which no servo confirms: an answer after them shows it."""
    arm.observe()
    clock.advance(seconds)


class TestSo101(RobotContract):
    """The arm as it comes, on a bus whose clock the test owns."""

    @pytest.fixture
    def robot(self, arm: So101, clock: ManualClock) -> Robot:
        self.clock = clock
        return arm

    def pace(self, robot: Robot) -> None:
        let_pass(robot.spec.period_s, robot, self.clock)


def turned(calibration: Calibration) -> Calibration:
    """The same arm with every other servo mounted the other way round and homed elsewhere."""
    changed = {}
    for index, (name, one) in enumerate(calibration.items()):
        offset = (-900, 500, 0)[index % 3]
        changed[name] = JointCalibration(one.id, one.range_min + 40, one.range_max - 60, offset, index % 2)
    return changed


class TestSo101MountedOtherwise(RobotContract):
    """An arm whose servos were homed and mounted otherwise keeps the same promises."""

    @pytest.fixture
    def robot(self, bus: FeetechBus, clock: ManualClock) -> Iterator[Robot]:
        self.clock = clock
        calibration = turned(default_calibration())
        for one in calibration.values():
            held = one.homing_offset // 2  # so that part of the offset must be made up for here
            word = abs(held) | (0x800 if held < 0 else 0)
            bus.servos[one.id].save(31, word, 2)
            bus.servos[one.id].shaft = 0.5 * (one.range_min + one.range_max) + one.homing_offset
        arm = patient(bus, calibration)
        arm.connect()
        yield arm
        arm.disconnect()

    def pace(self, robot: Robot) -> None:
        let_pass(robot.spec.period_s, robot, self.clock)


def shafts(bus: FeetechBus) -> list[float]:
    bus.settle()
    return [servo.shaft for servo in bus.servos.values()]


def test_torque_comes_on_without_a_jump(bus: FeetechBus, clock: ManualClock) -> None:
    for number, servo in bus.servos.items():
        servo.shaft = 1500.0 + 130.0 * number
        servo.write(42, (3000).to_bytes(2, "little"))
    before = shafts(bus)
    arm = patient(bus)
    arm.connect()
    assert all(servo.torque for servo in bus.servos.values())
    clock.advance(1.0)
    assert shafts(bus) == pytest.approx(before, abs=1.0)
    arm.disconnect()


def test_goals_are_measured_positions_before_any_torque(bus: FeetechBus) -> None:
    with So101Session(bus):
        kinds = [("torque" if p.parameters[0] == 40 else "goal") for p in bus.requests if _is_write_to(p, 40, 41)]
    assert kinds == ["goal"] + ["torque"] * 6


def test_disconnecting_holds_and_only_a_release_lets_go(bus: FeetechBus, clock: ManualClock) -> None:
    arm = patient(bus)
    arm.connect()
    arm.disconnect()
    assert all(servo.torque for servo in bus.servos.values())
    arm.connect()
    arm.disconnect(release=True)
    assert not any(servo.torque for servo in bus.servos.values())


def test_an_arm_that_still_holds_is_taken_over_without_letting_go(bus: FeetechBus) -> None:
    with So101Session(bus):
        pass
    bus.requests.clear()
    with So101Session(bus):
        assert not bus.writes(40)


def test_a_joint_moves_no_faster_than_its_limit(arm: So101, bus: FeetechBus, clock: ManualClock) -> None:
    here = arm.observe().values["joint_position"]
    arm.send_action(Action(here + 1.5))
    for _ in range(10):
        before = shafts(bus)
        let_pass(PERIOD_S, arm, clock)
        moved = np.abs(np.subtract(shafts(bus), before))[:5] * RAD_PER_TICK
        assert (moved <= arm.spec.joint_velocity_max_rad_s * PERIOD_S * 1.01).all()


def test_a_reset_stops_an_arm_that_is_on_its_way(arm: So101, bus: FeetechBus, clock: ManualClock) -> None:
    arm.send_action(Action(arm.observe().values["joint_position"] + 1.0))
    let_pass(0.1, arm, clock)
    at_reset = arm.reset(0).values["joint_position"]
    clock.advance(1.0)
    assert np.abs(arm.observe().values["joint_position"] - at_reset).max() < 0.1


def test_what_was_applied_is_what_the_servos_were_told(arm: So101, bus: FeetechBus) -> None:
    wanted = Action(np.array((0.1234, -0.4321, 0.777, 0.3, -1.1)), np.array([0.37]))
    applied = arm.send_action(wanted)
    arm.observe()
    calibration = default_calibration()
    told = [bus.servos[calibration[name].id].goal for name in SERVO_NAMES]
    angles = [calibration[name].to_rad(tick) for name, tick in zip(SERVO_NAMES[:5], told[:5], strict=True)]
    assert applied.joint_position.tolist() == angles
    assert np.abs(applied.joint_position - wanted.joint_position).max() <= 0.5 * RAD_PER_TICK + 1e-12
    assert applied.gripper[0] == calibration["gripper"].to_opening(told[5])


def test_the_gripper_is_guarded_and_its_memory_is_written_once(bus: FeetechBus) -> None:
    with So101Session(bus):
        gripper = bus.servos[6]
        assert [int.from_bytes(gripper.saved[a : a + n], "little") for a, n in ((16, 2), (28, 2), (36, 1))] == [
            500,
            250,
            25,
        ]
        assert int.from_bytes(gripper.table[48:50], "little") == 500
        assert gripper.table[55] == 1, "the gripper's memory was left unlocked"
    bus.requests.clear()
    with So101Session(bus):
        assert not [a for a in (16, 28, 36, 55) if bus.writes(a)]
    assert [bus.servos[n].saved[16:18] for n in range(1, 6)] == [b"\xe8\x03"] * 5


@pytest.mark.parametrize("fault", ["drop_replies", "damage_replies"])
def test_a_lost_answer_is_asked_for_again(arm: So101, bus: FeetechBus, fault: str) -> None:
    getattr(bus, fault)(2)
    arm.observe()
    assert arm.retried == 2


def test_an_arm_is_opened_with_more_patience_than_it_is_driven(bus: FeetechBus) -> None:
    """A computer that has just started, and is busy, had called the arm's first servo silent."""
    arm = patient(bus)
    bus.drop_replies(8)
    arm.connect()
    assert arm.retried == 8

    bus.drop_replies(8)
    with pytest.raises(ServoSilentError):
        arm.observe()


def test_noise_before_an_answer_does_not_hurt(arm: So101, bus: FeetechBus) -> None:
    bus.noise = b"\x00\xff\x13\xff"
    before = arm.observe().values["joint_position"]
    bus.noise = b""
    assert (arm.observe().values["joint_position"] == before).all()


def test_a_late_answer_is_not_taken_for_the_next_one(arm: So101, bus: FeetechBus, clock: ManualClock) -> None:
    bus.servos[3].silent = True
    with pytest.raises(ServoSilentError):
        arm.observe()
    bus.servos[3].silent = False
    bus.servos[3].shaft += 100
    arm.observe()
    assert arm.observe().values["joint_position"][2] == pytest.approx(100 * RAD_PER_TICK, abs=RAD_PER_TICK)


def test_a_silent_servo_is_named_and_comes_back(arm: So101, bus: FeetechBus) -> None:
    bus.servos[3].silent = True
    with pytest.raises(ServoSilentError, match=r"servo 3 \(elbow_flex\).*power supply"):
        arm.observe()
    bus.servos[3].silent = False
    arm.observe()


def test_a_missing_servo_is_named_when_connecting_and_the_port_is_free_again(bus: FeetechBus) -> None:
    bus.servos[6].silent = True
    arm = patient(bus)
    with pytest.raises(ServoSilentError, match=r"servo 6 \(gripper\)"):
        arm.connect()
    assert not any(servo.torque for servo in bus.servos.values())
    bus.servos[6].silent = False
    arm.connect()
    arm.disconnect()


@pytest.mark.parametrize(
    ("bit", "text"), [(1, "voltage"), (2, "sensor"), (4, "overheating"), (8, "overcurrent"), (32, "overload")]
)
def test_an_alarm_is_said_in_words(arm: So101, bus: FeetechBus, bit: int, text: str) -> None:
    bus.servos[2].status = bit
    with pytest.raises(ServoAlarmError, match=rf"servo 2 \(shoulder_lift\) reports .*{text}"):
        arm.observe()


def test_an_overloaded_servo_ends_the_drive(arm: So101, bus: FeetechBus) -> None:
    bus.servos[4].overload()
    with pytest.raises(RobotFaultError, match="overload"):
        arm.observe()


def test_a_hot_servo_ends_the_drive_before_it_lets_go(arm: So101, bus: FeetechBus) -> None:
    bus.servos[5].temperature_c = 65
    with pytest.raises(ServoHotError, match=r"servo 5 \(wrist_roll\) has .* and 65 is the most"):
        arm.observe()


def test_a_servo_that_restarted_is_noticed(arm: So101, bus: FeetechBus) -> None:
    bus.servos[1].power_cycle()
    with pytest.raises(TorqueLostError, match=r"1 \(shoulder_pan\)"):
        arm.observe()


def test_a_pulled_plug_is_a_fault_and_disconnecting_still_works(bus: FeetechBus) -> None:
    arm = patient(bus)
    arm.connect()
    bus.unplug()
    with pytest.raises(PortLostError, match="plug the adapter in"):
        arm.observe()
    arm.disconnect()


def test_a_port_that_is_not_there_says_so(tmp_path: Path) -> None:
    arm = So101(str(tmp_path / "nothing"))
    with pytest.raises(PortLostError, match="is the adapter plugged in"):
        arm.connect()


def test_two_programs_cannot_drive_one_arm(arm: So101, bus: FeetechBus) -> None:
    with pytest.raises(PortLostError, match="no other program"):
        patient(bus).connect()
    arm.observe()


def test_another_servo_model_is_refused(bus: FeetechBus) -> None:
    bus.servos[2].save(3, 1284, 2)
    with pytest.raises(WrongServoError, match=r"servo 2 \(shoulder_lift\) is of model 1284"):
        patient(bus).connect()


def test_a_servo_in_wheel_mode_is_refused(bus: FeetechBus) -> None:
    bus.servos[1].save(33, 1)
    with pytest.raises(WrongServoError, match="mode 1"):
        patient(bus).connect()


def test_a_joint_beyond_its_servos_turn_is_refused_before_torque(bus: FeetechBus) -> None:
    calibration = dict(default_calibration())
    calibration["wrist_roll"] = JointCalibration(5, 0, 3000)
    bus.servos[5].shaft = 4090.0  # six ticks below zero: going to tick 0 would be nearly a whole turn
    with pytest.raises(BeyondTurnError, match=r"servo 5 \(wrist_roll\) is at -6"):
        patient(bus, calibration).connect()
    assert not any(servo.torque for servo in bus.servos.values())


def test_a_homing_offset_that_puts_the_range_across_the_turn_is_refused(bus: FeetechBus) -> None:
    calibration = dict(default_calibration())
    calibration["elbow_flex"] = JointCalibration(3, 1000, 3000, homing_offset=1800)
    with pytest.raises(CalibrationError, match="cross the end of its turn"):
        patient(bus, calibration).connect()


def test_limits_are_the_narrower_of_the_models_and_the_calibrations() -> None:
    calibration = dict(default_calibration())
    calibration["shoulder_pan"] = JointCalibration(1, 1548, 2548)
    calibration["elbow_flex"] = JointCalibration(3, 0, 4095)
    spec = So101("nowhere", calibration).spec
    assert spec.joint_upper_rad[0] == pytest.approx(500 * RAD_PER_TICK)
    assert spec.joint_upper_rad[2] == 1.69


@given(speed=st.integers(-3000, 3000), position=st.integers(0, 4095), torque=st.booleans(), status=st.integers(0, 63))
def test_a_servos_registers_are_read_as_it_meant_them(speed: int, position: int, torque: bool, status: int) -> None:
    servo = Servo(1, shaft=float(position), speed=float(speed), status=status)
    servo.write(40, bytes((torque,)))
    servo.write(42, position.to_bytes(2, "little"))
    servo.speed, servo.status = float(speed), status
    state = ServoState.decode(servo.read(40, 31))
    assert (state.torque, state.goal_tick, state.position_tick, state.speed_tick_s) == (
        torque,
        position,
        position,
        speed,
    )
    assert (state.voltage_v, state.temperature_c, len(state.alarms)) == (7.4, 31, (status & 0x2F).bit_count())


packets = st.builds(Packet, st.integers(0, 253), st.integers(1, 0x83), st.binary(max_size=40))


@given(sent=st.lists(packets, max_size=5), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_packets_survive_being_cut_anywhere(sent: list[Packet], cuts: list[int]) -> None:
    stream = b"".join(packet.encode() for packet in sent)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    reader = PacketReader()
    found = [p for a, b in pairwise(edges) for p in reader.feed(stream[a:b])]
    assert found == sent


@given(noise=st.binary(max_size=200))
def test_noise_is_never_a_crash_and_a_packet_after_it_is_found(noise: bytes) -> None:
    reader = PacketReader()
    reader.feed(noise)
    after = Packet(7, 1, b"")
    found = reader.feed(b"\x00" * 300 + after.encode())
    assert found[-1:] == [after]


def test_every_instruction_of_the_bus_is_understood(
    bus: FeetechBus, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    import scservo_sdk

    monkeypatch.setattr(scservo_sdk.port_handler, "LATENCY_TIMER", 10_000)  # ms: a busy computer answers late
    port = scservo_sdk.PortHandler(bus.device)
    assert port.openPort()
    try:
        handler = scservo_sdk.PacketHandler(0)
        assert handler.ping(port, 1) == (777, 0, 0)
        assert handler.regWriteTxRx(port, 1, 42, 2, [0x10, 0x08]) == (0, 0)
        assert handler.read2ByteTxRx(port, 1, 42)[0] == 0
        handler.action(port, 0xFE)
        assert handler.read2ByteTxRx(port, 1, 42)[0] == 0x0810
    finally:
        port.closePort()


def test_saved_registers_need_an_unlocked_memory(bus: FeetechBus) -> None:
    servos = Bus(bus.device, {1: "one"}, answer_wait_s=0.25)
    servos.open()
    register = Register(13, 1)
    servos.write(1, register, 50)
    bus.servos[1].power_cycle()
    assert servos.read(1, register) == 70
    servos.save(1, register, 50)
    bus.servos[1].power_cycle()
    assert servos.read(1, register) == 50
    servos.close()


def test_a_late_answer_of_a_longer_register_is_not_taken_for_the_next(bus: FeetechBus, monkeypatch) -> None:
    servos = Bus(bus.device, {1: "one"}, answer_wait_s=10.0)
    servos.open()
    send, late = servos._packets.txRxPacket, []

    def exchange(port: object, asked: list[int]) -> object:
        answer = send(port, asked)
        late.append(answer)
        return late[0] if len(late) == 2 else answer

    monkeypatch.setattr(servos._packets, "txRxPacket", exchange)
    assert servos.read(1, Register(3, 2)) == 777
    assert servos.read(1, Register(33, 1)) == 0, "its mode, not the first byte of its model"
    assert servos.retried == 1
    servos.close()


class So101Session:
    """An arm that is connected for a while."""

    def __init__(self, bus: FeetechBus) -> None:
        self.arm = patient(bus)

    def __enter__(self) -> So101:
        self.arm.connect()
        return self.arm

    def __exit__(self, *_: object) -> None:
        self.arm.disconnect()


def _is_write_to(packet: Packet, *addresses: int) -> bool:
    return packet.instruction in (3, 0x83) and packet.parameters[0] in addresses
