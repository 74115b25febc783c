"""Episodes made of nothing: a fake arm of J joints that reaches smoothly; fixed keys and clocks, no physics.

    start, steps, end = fake_episode(steps=40, joints=3, seed=7)

`task`, `reach`, `idle` and `shake_rad` change the motion, for those who score it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from eth_account import Account
from eth_account.signers.local import LocalAccount

from sim.motion.control import Limit, LimitEvent
from sim.robot import Action, ArraySpec, EndEffector, Observation, RobotModel, RobotSpec, TaskSpec, Vector
from teleop.identity import SESSION_GRANT, Domain
from teleop.steps import PERSON, Driver, EpisodeEnd, EpisodeStart, FilmHead, Step, Taken
from teleop.wire.messages import FIRST, Command, Mode, Safety, digest_of
from teleop.wire.reasons import EndReason

DOMAIN: Final = Domain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
STARTED_NS: Final = 1_750_000_000_000_000_000
"""Wall clock of the first observation."""
FAKE_ARM: Final = RobotModel("fake_arm", Path(__file__).parent / "fake_arm", "arm.urdf")


def fixed_key(name: str) -> LocalAccount:
    """Return the same key for the same name, always. For tests only: anyone can make it."""
    account: LocalAccount = Account.from_key(hashlib.sha256(f"armshare test key: {name}".encode()).digest())
    return account


WALLET: Final = fixed_key("operator's wallet")
SESSION: Final = fixed_key("operator's session")
ROBOT: Final = fixed_key("robot")
HUB: Final = fixed_key("hub")
MALLORY: Final = fixed_key("mallory")


def fake_task(name: str = "lift", max_steps: int = 400) -> TaskSpec:
    """Return a task."""
    return TaskSpec(name, 1, "Lift the cube.", max_steps, stages=("reach the cube", "raise it"))


def fake_spec(joints: int = 3, *, simulated: bool = True, gripper: bool = True, task: str = "lift") -> RobotSpec:
    """Return a spec of `joints` equal joints at 20 Hz, each of +-2.5 rad and 2 rad/s."""
    arrays = [
        ArraySpec("joint_position", (joints,), "rad", "measured joint positions"),
        ArraySpec("joint_velocity", (joints,), "rad/s", "measured joint velocities"),
        ArraySpec("ee_pose", (7,), "m, quaternion", "end effector in the base frame"),
        ArraySpec("cube_pose", (7,), "m, quaternion", "the cube in the base frame"),
    ]
    if gripper:
        arrays.insert(2, ArraySpec("gripper_position", (1,), "1", "opening"))
    return RobotSpec(
        model=FAKE_ARM,
        joint_names=tuple(f"joint_{index + 1}" for index in range(joints)),
        joint_lower_rad=np.full(joints, -2.5),
        joint_upper_rad=np.full(joints, 2.5),
        joint_velocity_max_rad_s=np.full(joints, 2.0),
        joint_acceleration_max_rad_s2=np.full(joints, 20.0),
        joint_jerk_max_rad_s3=np.full(joints, 400.0),
        home_rad=np.zeros(joints),
        end_effectors=(
            EndEffector(
                name="hand",
                link="tool",
                joint_names=tuple(f"joint_{index + 1}" for index in range(joints)),
                workspace_lower_m=np.full(3, -1.0),
                workspace_upper_m=np.full(3, 1.0),
                gripper_joints={"finger": (0.0, 0.04)} if gripper else {},
            ),
        ),
        observation=tuple(arrays),
        simulated=simulated,
        control_hz=20.0,
        task=fake_task(task),
        engine={"fake": "1"} if simulated else {},
    )


def fake_grant(
    *,
    wallet: LocalAccount = WALLET,
    session: LocalAccount = SESSION,
    robot: LocalAccount = ROBOT,
    task: str = "lift",
    not_after_ms: int = STARTED_NS // 1_000_000 + 3_600_000,
) -> tuple[dict[str, Any], str]:
    """Return the values of a `SessionGrant` and the wallet's signature."""
    values = {
        "operator": wallet.address,
        "sessionKey": session.address,
        "robot": robot.address,
        "task": task,
        "nonce": "0x" + hashlib.sha256(b"grant nonce").hexdigest(),
        "notAfterMs": not_after_ms,
    }
    return values, SESSION_GRANT.sign(wallet, DOMAIN, values)


def fake_start(
    episode: str = "episode-1",
    *,
    spec: RobotSpec | None = None,
    seed: int = 7,
    wallet: LocalAccount = WALLET,
    session: LocalAccount = SESSION,
    robot: LocalAccount = ROBOT,
    t_wall_ns: int = STARTED_NS,
    cameras: tuple[FilmHead, ...] = (),
    driver: Driver = PERSON,
    rules: str | None = None,
) -> EpisodeStart:
    """Return the start of an episode whose grant is good for an hour from `t_wall_ns`."""
    spec = fake_spec() if spec is None else spec
    task = "lift" if spec.task is None else spec.task.name
    until = t_wall_ns // 1_000_000 + 3_600_000
    grant, signature = fake_grant(wallet=wallet, session=session, robot=robot, task=task, not_after_ms=until)
    nonce = "0x" + hashlib.sha256(f"nonce of {episode}".encode()).hexdigest()
    return EpisodeStart(
        episode=episode,
        robot=robot.address,
        robot_name="fake-1",
        spec=spec,
        operator=wallet.address,
        grant=grant,
        grant_signature=signature,
        seed=seed,
        nonce=nonce,
        initial=observe(spec, spec.home_rad, np.zeros(spec.joints), 1.0, 0.0, success=False),
        t_mono_ns=1_000_000_000,
        t_wall_ns=t_wall_ns,
        cameras=cameras,
        driver=driver,
        rules=rules,
    )


def observe(
    spec: RobotSpec, position: Vector, velocity: Vector, gripper: float, progress: float, *, success: bool
) -> Observation:
    """Return what the fake arm sees: the end effector follows the joints, the cube rises with progress."""
    values: dict[str, Vector] = {"joint_position": position.copy(), "joint_velocity": velocity.copy()}
    if spec.has_gripper:
        values["gripper_position"] = np.array([gripper])
    values["ee_pose"] = ee_pose(position)
    values["cube_pose"] = np.array([0.4, 0.0, 0.02 + 0.2 * progress, 0.0, 0.0, 0.0, 1.0])
    return Observation(values, progress=progress, success=success)


def ee_pose(position: Vector) -> Vector:
    """Return a made-up end-effector pose, smooth in the joints."""
    x, y = 0.3 + 0.2 * np.cos(position[0]), 0.2 * np.sin(position[0])
    return np.array([x, y, 0.2 + 0.1 * float(np.sin(position[1:].sum())), 0.0, 0.0, 0.0, 1.0])


def positions(spec: RobotSpec, steps: int, seed: int, reach: float, idle: int, shake_rad: float) -> Vector:
    """Return (steps, J) rad: `idle` steps at home, then minimum jerk to a place that `seed` picks."""
    random = np.random.default_rng(seed)
    goal = spec.home_rad + reach * random.uniform(0.5, 1.0, spec.joints) * random.choice([-1.0, 1.0], spec.joints)
    at = np.clip((np.arange(1, steps + 1) - idle) / max(1, steps - idle), 0.0, 1.0)[:, None]
    smooth = 10 * at**3 - 15 * at**4 + 6 * at**5
    shaken = shake_rad * random.uniform(-1.0, 1.0, (steps, spec.joints))
    path: Vector = spec.home_rad + smooth * (goal - spec.home_rad) + shaken
    most = spec.joint_velocity_max_rad_s * spec.period_s
    last = spec.home_rad
    for index in range(steps):
        last = np.clip(path[index], last - most, last + most)
        path[index] = last
    return path


class FakeOperator:
    """Sends commands as a client does: each holds the hash of the one before it in its epoch."""

    def __init__(self) -> None:
        self.newest: Command | None = None
        """The newest that counted."""
        self.resume(1)

    def resume(self, epoch: int) -> None:
        """Begin, or go on in another epoch, which counts from 1."""
        self.epoch, self._seq, self._before = epoch, 0, FIRST

    def send(
        self,
        arrived_ns: int,
        values: Vector,
        mode: Mode = Mode.JOINT_POSITION,
        *,
        dead_man: bool = True,
        admitted: bool = True,
        lost: bool = False,
    ) -> Taken:
        """Return the next command as it came; if the one before it was `lost`, its `seq` has a gap."""
        for _ in range(2 if lost else 1):
            self._seq += 1
            sent, now_us = np.asarray(values, np.float32), 5_000_000 + arrived_ns // 1000 - 20_000
            head = mode, dead_man, self.epoch, self._seq, max(0, self._seq - 2), now_us
            command = Command(*head, sent, self._before)
            self._before = digest_of(command.encode())
        if admitted:
            self.newest = command
        return Taken(command.encode(), arrived_ns, admitted)


def fake_taken(operator: FakeOperator, index: int, began_ns: int, values: Vector) -> tuple[Taken, ...]:
    """Return what step `index` takes: a command or two, at times one that is stale, or one after one that was lost."""
    made = [operator.send(began_ns - 30_000_000, values)] if index % 4 == 3 else []
    if index == 6:
        made.append(operator.send(began_ns - 20_000_000, values, admitted=False))
    made.append(operator.send(began_ns - 10_000_000, values, lost=index == 5))
    return tuple(made)


def fake_steps(
    start: EpisodeStart,
    count: int = 40,
    *,
    reach: float = 0.8,
    idle: int = 0,
    shake_rad: float = 0.0,
    success: bool = True,
    extra: Mapping[int, tuple[LimitEvent, ...]] | None = None,
) -> list[Step]:
    """Return `count` steps; the robot lands exactly where each action puts it; the clock jitters a little."""
    spec = start.spec
    path = positions(spec, count, start.seed, reach, idle, shake_rad)
    jitter = np.random.default_rng(start.seed + 1).integers(-400_000, 400_000, count)
    period_ns = round(1e9 / spec.control_hz)
    previous, operator = spec.home_rad, FakeOperator()
    operator.send(start.t_mono_ns - 50_000_000, np.append(spec.home_rad, 1.0), dead_man=False)
    made = []
    for index in range(count):
        progress = (index + 1) / count
        gripper = 1.0 if progress < 0.5 else 0.2
        t_began = start.t_mono_ns + index * period_ns + 450_000
        commands = fake_taken(operator, index, t_began, np.append(path[index], gripper))
        t_observed = start.t_mono_ns + (index + 1) * period_ns + int(jitter[index])
        made.append(
            Step(
                index=index,
                commanded=operator.newest,
                safety=Safety.DRIVING,
                applied=Action(path[index].copy(), np.array([gripper])),
                applied_ee_pose=ee_pose(path[index]).reshape(1, 7),
                observed=observe(
                    spec,
                    path[index],
                    (path[index] - previous) * spec.control_hz,
                    gripper,
                    progress,
                    success=success and index >= count - 3,
                ),
                t_sent_ns=t_began + 50_000,
                t_observed_ns=t_observed,
                t_wall_ns=start.t_wall_ns + (t_observed - start.t_mono_ns),
                t_began_ns=t_began,
                commands=commands,
                limits=(extra or {}).get(index, (LimitEvent(Limit.JOINT_VELOCITY, 0, 3.0, 2.0),) if index == 5 else ()),
            )
        )
        previous = path[index]
    return made


def fake_end(
    start: EpisodeStart,
    steps: list[Step],
    *,
    reason: EndReason = EndReason.FINISHED,
    success: bool | None = True,
) -> EpisodeEnd:
    """Return the end, a tenth of a millisecond after the last step."""
    t_mono_ns = steps[-1].t_observed_ns if steps else start.t_mono_ns
    t_wall_ns = steps[-1].t_wall_ns if steps else start.t_wall_ns
    return EpisodeEnd(start.episode, len(steps), success, reason, t_mono_ns + 100_000, t_wall_ns + 100_000)


def fake_episode(
    steps: int = 40,
    joints: int = 3,
    seed: int = 7,
    *,
    episode: str = "episode-1",
    simulated: bool = True,
    gripper: bool = True,
    task: str = "lift",
    reach: float = 0.8,
    idle: int = 0,
    shake_rad: float = 0.0,
    success: bool = True,
    reason: EndReason = EndReason.FINISHED,
    wallet: LocalAccount = WALLET,
    session: LocalAccount = SESSION,
    robot: LocalAccount = ROBOT,
    t_wall_ns: int = STARTED_NS,
    cameras: tuple[FilmHead, ...] = (),
    driver: Driver = PERSON,
    rules: str | None = None,
) -> tuple[EpisodeStart, list[Step], EpisodeEnd]:
    """Return a whole episode, the same for the same arguments; only one that is not simulated has cameras."""
    spec = fake_spec(joints, simulated=simulated, gripper=gripper, task=task)
    said = {"wallet": wallet, "session": session, "robot": robot, "cameras": cameras, "driver": driver, "rules": rules}
    start = fake_start(episode, spec=spec, seed=seed, t_wall_ns=t_wall_ns, **said)
    made = fake_steps(start, steps, reach=reach, idle=idle, shake_rad=shake_rad, success=success)
    return start, made, fake_end(start, made, reason=reason, success=success)
