"""What every robot promises, simulated or real: inherit `RobotContract`, give it a `robot`, and run pytest.

    class TestMyArm(RobotContract):
        @pytest.fixture
        def robot(self) -> Iterator[Robot]:
            arm = MyArm()
            arm.connect()
            yield arm
            arm.disconnect()

A real arm also overrides `pace` to let one control period pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sim import rotation
from sim.model.urdf import read_urdf, urdf_files
from sim.motion.control import SINGULAR_SLOW
from sim.motion.kinematics import Hands, Kinematics
from sim.robot import Action, ActionShapeError, NotConnectedError, Observation, Robot, Vector

_PER_JOINT = (
    "joint_lower_rad",
    "joint_upper_rad",
    "joint_velocity_max_rad_s",
    "joint_acceleration_max_rad_s2",
    "joint_jerk_max_rad_s3",
    "joint_resolution_rad",
    "home_rad",
)
STILL_RAD = 0.005
"""A joint that moves less than this between two observations is at rest."""
ROUNDED_RAD = 1e-3
"""How far a limit may be rounded."""


class RobotContract:
    """The promises. Subclasses provide a connected `robot`, and may widen the tolerances for a less precise arm."""

    tolerance_rad = 0.02
    settle_periods = 60

    @pytest.fixture
    def robot(self) -> Iterator[Robot]:
        """Yield the robot, connected; disconnect it afterwards."""
        raise NotImplementedError("a subclass of RobotContract gives the robot")

    def pace(self, robot: Robot) -> None:
        """Let one control period pass, if `send_action` does not do so itself."""

    def test_it_is_a_robot(self, robot: Robot) -> None:
        assert isinstance(robot, Robot), f"{type(robot).__name__} lacks a method of the Robot protocol"

    def test_the_spec_agrees_with_itself_and_with_the_urdf(self, robot: Robot) -> None:
        spec = robot.spec
        assert spec is robot.spec or spec.joint_names == robot.spec.joint_names, "the spec changes"
        for name in _PER_JOINT:
            value = getattr(spec, name)
            assert value.shape == (spec.joints,), f"{name} has shape {value.shape}, for {spec.joints} joints"
            assert value.dtype == np.float64, f"{name} is {value.dtype}, and should be float64"
            assert np.isfinite(value).all(), f"{name} is not finite: {value}"
        assert (spec.joint_lower_rad < spec.joint_upper_rad).all(), "a lower joint limit is not below the upper"
        assert (spec.joint_velocity_max_rad_s > 0.0).all(), "a joint may not move at all"
        assert (spec.joint_acceleration_max_rad_s2 > 0.0).all(), "a joint may not start"
        assert (spec.joint_jerk_max_rad_s3 > 0.0).all(), "a joint's acceleration may not rise"
        assert spec.control_hz > 0.0, f"the control rate is {spec.control_hz}"
        urdf = read_urdf(spec.model.urdf_path)
        missing = {*spec.joint_names, *spec.gripper_joints} - set(urdf.joints)
        assert not missing, f"the URDF lacks the joints {missing}"
        driven = {*spec.joint_names}
        assert spec.base is None or driven >= {*spec.base.joint_names}, "a joint of the base is not driven"
        for end in spec.end_effectors:
            assert {end.link, end.base_link or end.link} <= {*urdf.links}, f"the URDF lacks {end.link} or its base"
            assert driven >= {*end.joint_names}, f"a joint of {end.name} is not driven"
            assert (end.workspace_lower_m < end.workspace_upper_m).all(), f"the workspace of {end.name} is empty"
        assert all(file.is_file() for file in urdf_files(spec.model)), "a file of the model is missing"

    def test_no_limit_is_wider_than_the_urdfs(self, robot: Robot) -> None:
        spec = robot.spec
        urdf = read_urdf(spec.model.urdf_path)
        for index, name in enumerate(spec.joint_names):
            joint, low, high = urdf.joint(name), spec.joint_lower_rad[index], spec.joint_upper_rad[index]
            assert joint.moves, f"{name} is fixed in the URDF"
            within = joint.lower - ROUNDED_RAD <= low and high <= joint.upper + ROUNDED_RAD
            assert within, f"{name} may go from {low} to {high}, in the URDF from {joint.lower} to {joint.upper}"
            fastest = spec.joint_velocity_max_rad_s[index]
            assert fastest <= joint.velocity_max + ROUNDED_RAD, f"{name} may be faster than the URDF allows: {fastest}"
        for name, ends in spec.gripper_joints.items():
            joint = urdf.joint(name)
            within = joint.lower - ROUNDED_RAD <= min(ends) < max(ends) <= joint.upper + ROUNDED_RAD
            assert within, f"{name} opens and closes at {ends}, in the URDF it is within {joint.lower}, {joint.upper}"

    def test_home_lies_within_the_limits_and_the_workspace(self, robot: Robot) -> None:
        spec = robot.spec
        assert (spec.home_rad >= spec.joint_lower_rad).all(), f"home {spec.home_rad} is below a joint limit"
        assert (spec.home_rad <= spec.joint_upper_rad).all(), f"home {spec.home_rad} is above a joint limit"
        for index, end in enumerate(spec.end_effectors):
            own = spec.home_rad[[spec.joint_names.index(name) for name in end.joint_names]]
            kinematics = Kinematics.of(spec, index)
            position = kinematics.forward(own)[:3]
            assert (position >= end.workspace_lower_m).all(), f"at home {end.name} is outside its workspace: {position}"
            assert (position <= end.workspace_upper_m).all(), f"at home {end.name} is outside its workspace: {position}"
            condition = kinematics.at(own).condition
            assert condition < SINGULAR_SLOW, f"at home {end.name} is near a singularity: condition {condition}"

    def test_the_observation_has_what_every_driver_needs(self, robot: Robot) -> None:
        spec = robot.spec
        shapes = {array.name: array.shape for array in spec.observation}
        assert len(shapes) == len(spec.observation), "two arrays of the observation have one name"
        expected: dict[str, tuple[int, ...]] = {"joint_position": (spec.joints,), "joint_velocity": (spec.joints,)}
        expected |= {end.pose: (7,) for end in spec.end_effectors}
        if spec.has_gripper:
            expected["gripper_position"] = (spec.hands,)
        for name, shape in expected.items():
            assert shapes.get(name) == shape, f"{name} should have shape {shape}, and has {shapes.get(name)}"
        for body in spec.scene.bodies:
            shape = shapes.get(body.pose_from or "", (7,))
            row = () if body.row is None else (body.row,)
            assert shape[len(row) :] == (7,), f"{body.name} is drawn from {body.pose_from}, of shape {shape}"
            assert body.row is None or body.row < shape[0], f"{body.name} is drawn from a row that is not there"

    def test_an_observation_is_what_the_spec_says(self, robot: Robot) -> None:
        for seen in (robot.reset(1), robot.observe(), self._after(robot, robot.observe())):
            specs = {array.name: array for array in robot.spec.observation}
            assert set(seen.values) == set(specs), f"observed {sorted(seen.values)}, specified {sorted(specs)}"
            for name, value in seen.values.items():
                assert str(value.dtype) == specs[name].dtype, f"{name} is {value.dtype}"
                specs[name].validate(value)
            assert seen.progress is None or 0.0 <= seen.progress <= 1.0, f"progress is {seen.progress}"

    def test_the_quaternions_have_unit_length(self, robot: Robot) -> None:
        seen = robot.reset(2)
        for end in robot.spec.end_effectors:
            length = float(np.linalg.norm(seen.values[end.pose][3:]))
            assert abs(length - 1.0) < 1e-6, f"the quaternion of {end.name} has length {length}"

    def test_forward_kinematics_agrees_with_the_observed_hand(self, robot: Robot) -> None:
        hands = Hands(robot.spec)
        looks = [robot.reset(3), self._after(robot, robot.observe(), 0.05)]
        pairs = [
            (seen.values[end.pose], expected)
            for seen in looks
            for end, expected in zip(robot.spec.end_effectors, hands.poses(seen.values["joint_position"]), strict=True)
        ]
        for pose, expected in pairs:
            away, turned = np.linalg.norm(pose[:3] - expected[:3]), rotation.angle_between(pose[3:], expected[3:])
            assert away < 1e-3, f"the hand is seen {away} m from where the joints put it"
            assert turned < 1e-2, f"the hand is seen turned by {turned} rad from where the joints put it"

    def test_a_reset_is_repeatable_or_does_not_move(self, robot: Robot) -> None:
        before = robot.observe()
        first = robot.reset(7)
        if not robot.spec.simulated:
            self.pace(robot)
            self._assert_still(before, robot.observe(), "a reset")
            return
        for _ in range(3):
            self._after(robot, first, 0.1)
        second = robot.reset(7)
        for name, value in first.values.items():
            assert value.tobytes() == second.values[name].tobytes(), f"{name} differs after a reset with one seed"

    def test_a_simulated_robot_does_the_same_again_to_the_last_bit(self, robot: Robot) -> None:
        if not robot.spec.simulated:
            return
        first, second = self._bits(robot), self._bits(robot)
        for step, (one, other) in enumerate(zip(first, second, strict=True)):
            for name in one:
                assert one[name] == other[name], f"{name} differs in step {step} after the same seed and actions"

    def test_it_holds_where_it_is(self, robot: Robot) -> None:
        before = robot.reset(11)
        here = self._towards(robot, before, 0.0)
        for _ in range(self.settle_periods):
            robot.send_action(here)
            self.pace(robot)
        away = np.abs(robot.observe().values["joint_position"] - here.joint_position)
        assert away.max() < self.tolerance_rad, f"sent to where it was, it has moved by {away} rad"

    def test_observing_does_not_move(self, robot: Robot) -> None:
        before = robot.reset(8)
        for _ in range(3):
            robot.observe()
        self._assert_still(before, robot.observe(), "observing")

    def test_an_action_within_the_limits_is_applied_as_it_is(self, robot: Robot) -> None:
        wanted = self._towards(robot, robot.reset(4), 0.02)
        applied = robot.send_action(wanted)
        assert np.abs(applied.joint_position - wanted.joint_position).max() < 0.01, "the action was changed"
        changed = np.abs(applied.gripper - wanted.gripper).max()
        assert changed < 0.01 or not robot.spec.has_gripper, "the gripper was changed"
        assert applied.joint_position.dtype == np.float64, "the applied action is not float64"

    @pytest.mark.parametrize("sign", [-1.0, 1.0])
    def test_a_far_target_is_clipped_and_said_to_be(self, robot: Robot, sign: float) -> None:
        spec = robot.spec
        here = robot.reset(5).values["joint_position"]
        for joint in range(spec.joints):
            wanted = np.clip(here, spec.joint_lower_rad, spec.joint_upper_rad)
            wanted[joint] = 100.0 * sign
            applied = robot.send_action(Action(wanted, np.full(spec.hands, 2.0 * sign)))
            assert (applied.joint_position <= spec.joint_upper_rad).all(), "an upper joint limit was passed"
            assert (applied.joint_position >= spec.joint_lower_rad).all(), "a lower joint limit was passed"
            sent = applied.gripper
            assert ((sent >= 0.0) & (sent <= 1.0)).all(), f"grippers were sent to {sent}"
            robot.send_action(Action(here, np.ones(spec.hands)))

    @pytest.mark.parametrize("fault", ["too few", "too many", "two rows", "nan", "infinite", "gripper", "grippers"])
    def test_a_malformed_action_is_refused_and_does_not_move(self, robot: Robot, fault: str) -> None:
        before = robot.reset(6)
        here, grip = before.values["joint_position"], np.ones(robot.spec.hands)
        wrong = {
            "too few": Action(here[:-1] + 0.3, grip),
            "too many": Action(np.append(here, 0.0) + 0.3, grip),
            "two rows": Action(np.array((here, here)) + 0.3, grip),
            "nan": Action(np.where(np.arange(len(here)) == 0, np.nan, here + 0.3), grip),
            "infinite": Action(np.where(np.arange(len(here)) == 0, np.inf, here + 0.3), grip),
            "gripper": Action(here + 0.3, grip * np.nan),
            "grippers": Action(here + 0.3, np.append(grip, 1.0)),
        }[fault]
        with pytest.raises(ActionShapeError):
            robot.send_action(wrong)
        self.pace(robot)
        self._assert_still(before, robot.observe(), f"a refused action ({fault})")

    @pytest.mark.parametrize("sign", [-1.0, 1.0])
    def test_the_joints_go_where_they_are_sent(self, robot: Robot, sign: float) -> None:
        start = robot.reset(9)
        goal = self._towards(robot, start, 0.15 * sign)
        seen = self._drive(robot, start, goal)
        away = np.abs(seen.values["joint_position"] - goal.joint_position)
        assert away.max() < self.tolerance_rad, f"after {self.settle_periods} periods joints are {away} rad away"
        speed = np.abs(seen.values["joint_velocity"]).max()
        assert speed < 0.1, f"the arm has arrived and still moves at {speed} rad/s"

    def test_the_gripper_opens_and_closes(self, robot: Robot) -> None:
        if not robot.spec.has_gripper:
            pytest.skip("no gripper")
        seen = robot.reset(10)
        for opening in (1.0, 0.0, 1.0):
            goal = Action(seen.values["joint_position"], np.full(robot.spec.hands, opening))
            seen = self._drive(robot, seen, goal)
            found = seen.values["gripper_position"]
            assert np.abs(found - opening).max() < 0.1, f"grippers were sent to {opening} and are at {found}"

    def test_connecting_twice_is_connecting_once(self, robot: Robot) -> None:
        before = robot.observe()
        robot.connect()
        self._assert_still(before, robot.observe(), "a second connect()")

    def test_after_disconnecting_nothing_works_until_it_connects_again(self, robot: Robot) -> None:
        here = Action(robot.observe().values["joint_position"], np.ones(robot.spec.hands))
        robot.disconnect()
        robot.disconnect()
        with pytest.raises(NotConnectedError):
            robot.observe()
        with pytest.raises(NotConnectedError):
            robot.reset(0)
        with pytest.raises(NotConnectedError):
            robot.send_action(here)
        robot.connect()
        assert robot.observe().values["joint_position"].shape == (robot.spec.joints,), "it did not come back"

    def _after(self, robot: Robot, seen: Observation, change: float = 0.0) -> Observation:
        robot.send_action(self._towards(robot, seen, change))
        self.pace(robot)
        return robot.observe()

    def _bits(self, robot: Robot, steps: int = 10) -> list[dict[str, bytes]]:
        """Drive a little, grippers included; return every array of every observation as bytes."""
        seen = [robot.reset(12)]
        for step in range(steps):
            action = self._towards(robot, seen[0], 0.02 * (step % 4))
            robot.send_action(Action(action.joint_position, np.full(robot.spec.hands, float(step % 2))))
            seen.append(robot.observe())
        return [{name: value.tobytes() for name, value in one.values.items()} for one in seen]

    def _towards(self, robot: Robot, seen: Observation, change: float) -> Action:
        spec = robot.spec
        gripper = seen.values.get("gripper_position", np.ones(spec.hands))
        goal = seen.values["joint_position"] + change
        return Action(np.clip(goal, spec.joint_lower_rad, spec.joint_upper_rad), gripper)

    def _drive(self, robot: Robot, start: Observation, goal: Action) -> Observation:
        """Go to `goal` at half the joints' speed limits, then wait there."""
        reach = 0.5 * robot.spec.joint_velocity_max_rad_s * robot.spec.period_s
        target: Vector = start.values["joint_position"]
        for _ in range(self.settle_periods):
            target = target + np.clip(goal.joint_position - target, -reach, reach)
            robot.send_action(Action(target, goal.gripper))
            self.pace(robot)
        return robot.observe()

    def _assert_still(self, before: Observation, after: Observation, cause: str) -> None:
        moved = np.abs(after.values["joint_position"] - before.values["joint_position"]).max()
        assert moved < STILL_RAD, f"{cause} moved a joint by {moved} rad"
