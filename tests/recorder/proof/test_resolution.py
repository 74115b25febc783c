"""A robot that takes a position only in steps is checked at its own resolution, which its spec states."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recorder.proof import refusals
from recorder.proof.checks import motion
from recorder.proof.verify import verify
from sim.motion.control import Controller, Joints
from sim.motion.kinematics import Hands
from sim.robot import RESOLUTION_MAX_RAD, ResolutionError
from teleop.hardware.calibration import RAD_PER_TICK
from teleop.steps import EpisodeEnd, EpisodeStart, Step
from teleop.wire.messages import Safety
from tests.emulators.feetech import FeetechBus, ManualClock
from tests.recorder.bundles import TRUST, Adversary, good_bundle
from tests.recorder.factory import FakeOperator, fake_end, fake_spec, fake_start, fake_taken
from tests.recorder.proof.test_verify import refused_by, remade
from tests.teleop.hardware.test_feetech import let_pass, patient

Drive = tuple[EpisodeStart, list[Step], EpisodeEnd]
PERIODS = 24


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Adversary:
    """An emulated SO-101 that goes from one end of its joints to the other as fast as it may."""
    clock = ManualClock()
    with FeetechBus(clock=clock) as bus:
        arm = patient(bus)
        arm.connect()
        spec, controller, hands = arm.spec, Controller(arm.spec), Hands(arm.spec)
        # Not in the middle, so that what is asked lies anywhere between two ticks.
        goal = Joints(spec.home_rad + np.array([1.20123, 0.2, 0.2, 0.2, 1.50077]), np.ones(1))
        seen = arm.reset(0)
        controller.start(seen)
        start = dataclasses.replace(fake_start(spec=spec), initial=seen)
        operator, steps = FakeOperator(), []
        operator.send(0, np.zeros(6), dead_man=False)
        for index in range(PERIODS):
            now_ns = start.t_mono_ns + index * 50_000_000 + 1
            taken = fake_taken(operator, index, now_ns, np.append(goal.position, goal.gripper))
            applied = arm.send_action(controller.step(goal, seen).action)
            let_pass(spec.period_s, arm, clock)
            seen = arm.observe()
            step = Step(
                index=index,
                commanded=operator.newest,
                safety=Safety.DRIVING,
                applied=applied,
                applied_ee_pose=hands.poses(applied.joint_position),
                observed=seen,
                t_sent_ns=now_ns,
                t_observed_ns=now_ns + 49_000_000,
                t_wall_ns=start.t_wall_ns + index * 50_000_000,
                t_began_ns=now_ns,
                commands=taken,
            )
            steps.append(step)
        arm.disconnect()
    made = start, steps, fake_end(start, steps, success=None)
    return Adversary.of(good_bundle(tmp_path_factory.mktemp("swept"), made=made))


def test_an_arm_of_servos_at_full_speed_passes(swept: Adversary) -> None:
    spec = swept.episode.meta.spec
    assert spec.resolution_rad == [RAD_PER_TICK] * 5
    verify(swept.bundle, TRUST)

    moved = np.abs(np.diff(swept.episode.applied_joint_position, axis=0)).max()
    reach = spec.joint_velocity_max_rad_s[0] / spec.control_hz
    assert reach == pytest.approx(0.1)
    assert moved == pytest.approx(66 * RAD_PER_TICK), "rounded to whole ticks, it is more than the speed allows"
    assert motion.TOLERANCE_RAD < moved - reach < RAD_PER_TICK


def test_without_a_resolution_in_its_spec_it_would_be_refused(swept: Adversary) -> None:
    meta = swept.episode.meta
    exact = msgspec.structs.replace(meta.spec, joint_resolution_rad=[0.0] * 5)
    bundle = remade(swept, msgspec.structs.replace(meta, spec=exact))

    with pytest.raises(refusals.MotionInvalid, match=r"at most 0\.100001 rad a period, got 0\.10124"):
        verify(bundle, TRUST)


@pytest.mark.parametrize(("beyond", "passes"), [(0.9, True), (1.1, False)])
@pytest.mark.parametrize("end", ["upper", "lower"])
def test_a_limit_is_wider_by_one_resolution_and_no_more(tmp_path: Path, end: str, beyond: float, passes: bool) -> None:
    fine = 0.002
    adversary = Adversary.of(good_bundle(tmp_path))
    meta, old = adversary.episode.meta, adversary.episode.arrays
    spec = msgspec.structs.replace(meta.spec, joint_resolution_rad=[fine, fine, fine])
    arrays = {path: array.copy() for path, array in old.items()}
    over = 2.5 + beyond * fine
    for path in ("applied/joint_position", "observation/joint_position"):
        arrays[path][:, 0] = over if end == "upper" else -over
    bundle = remade(adversary, msgspec.structs.replace(meta, spec=spec), arrays)

    if passes:
        verify(bundle, TRUST)
    else:
        assert refused_by(bundle, TRUST) is refusals.MotionInvalid


@pytest.mark.parametrize("said", [[-1e-9, 0.0, 0.0], [0.0, 0.0], [0.0, 0.0, RESOLUTION_MAX_RAD * 1.01], [np.nan] * 3])
def test_a_resolution_that_no_joint_has_is_refused_in_a_sentence(said: list[float]) -> None:
    with pytest.raises(ResolutionError, match="expected 3 resolutions of 0 to"):
        dataclasses.replace(fake_spec(), joint_resolution_rad=np.array(said))


def test_a_simulated_robot_has_none() -> None:
    assert fake_spec().joint_resolution_rad.tolist() == [0.0, 0.0, 0.0]
