"""The physics engine as every world uses it: its parameters, the floor, and everything that a replay must match."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from sim.description import RobotDescription
from sim.draws import Draws
from sim.physics import arm, bodies, fingerprint, reference
from sim.physics.bullet import BulletClient, pybullet
from sim.physics.stepping import CONTROL_HZ, CURRENT, PUBLISHED, Stepping
from sim.robot import RobotError
from sim.task import Task

SOLVER_RESIDUAL: Final = 3e-4
"""The solver ends early if an iteration changes less than this: a free arm needs few iterations, a grasp all."""
GRAVITY_M_S2: Final = -9.81
FLOOR_HALF_M: Final = 8.0
FLOOR_DEPTH_M: Final = 0.5
FLOOR_FRICTION: Final = 1.0
CONTROL: Final = "control"
"""The entry that a replay of recorded actions does not need: no controller takes part in it."""
_MEANS: Final = {
    "version": "install that version of PyBullet",
    "build": "this build of PyBullet computes different bits; install the wheel from the package index",
    "libm": "sin, exp and the like end in different bits here; replay with the same C library, on a processor that has "
    "fused multiply-add if the other has it",
    "machine": "replay on that kind of machine",
    CONTROL: "the controller moves it differently, by its code, its compiler, Ruckig or the C library; replay with the "
    "version of armshare that recorded it, installed from its lock",
    "robot": "the robot's motors or hands are different; use the version of armshare that recorded it",
    "scene": "the task places or shapes its things differently; use the version of armshare that recorded it",
}


class EngineMismatchError(RobotError):
    """An episode was made with a different engine from the one here, so a replay would prove nothing."""


def prepare(client: BulletClient, stepping: Stepping) -> None:
    """Empty the engine, set its parameters, and lay the floor."""
    client.resetSimulation(pybullet.RESET_USE_SIMPLE_BROADPHASE if stepping.all_pairs else 0)
    client.setPhysicsEngineParameter(
        fixedTimeStep=1.0 / stepping.physics_hz,
        numSolverIterations=stepping.solver_iterations,
        solverResidualThreshold=SOLVER_RESIDUAL,
        deterministicOverlappingPairs=1,
        enableFileCaching=0,  # saves 9 MiB per world
    )
    if stepping.contact_gain is not None:
        client.setPhysicsEngineParameter(contactERP=stepping.contact_gain)
    client.setGravity(0.0, 0.0, GRAVITY_M_S2)
    # A slab: the bounds of an infinite plane overlap with every link, so each would be tested in each step.
    half = [FLOOR_HALF_M, FLOOR_HALF_M, 0.5 * FLOOR_DEPTH_M]
    slab = client.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half)
    floor = client.createMultiBody(0.0, slab, basePosition=[0.0, 0.0, -0.5 * FLOOR_DEPTH_M])
    client.changeDynamics(floor, -1, lateralFriction=FLOOR_FRICTION)


def stepping_of(recorded: Mapping[str, str]) -> Stepping:
    """Return how an episode with this record was stepped; raise EngineMismatchError if that way was never published."""
    _require_simulated(recorded)
    said = recorded.get("physics_hz")
    if said is None or said not in PUBLISHED:
        rates = " or ".join(PUBLISHED)
        raise EngineMismatchError(
            f"it was simulated at physics_hz {said!r}, and this version replays {rates}; "
            "replay it with the version of armshare that recorded it"
        )
    return PUBLISHED[said]


def record(robot: RobotDescription, task: Task, stepping: Stepping = CURRENT) -> dict[str, str]:
    """Return what a replay must match, as text, besides the files of the robot and the version of the task."""
    placed = task.bodies(robot, Draws(0))
    found = {
        "name": "pybullet",
        "version": version("pybullet"),
        "api": str(pybullet.getAPIVersion()),
        "build": fingerprint.build(),
        "libm": fingerprint.libm(),
        "machine": platform.machine(),
        "physics_hz": str(stepping.physics_hz),
        "control_hz": str(CONTROL_HZ),
        "solver_iterations": str(stepping.solver_iterations),
        "solver_residual": str(SOLVER_RESIDUAL),
        "deterministic_pairs": "1",
        "settle_steps": str(stepping.settle_steps),
        "gravity_m_s2": str(GRAVITY_M_S2),
        "floor": f"{FLOOR_HALF_M} {FLOOR_DEPTH_M} {FLOOR_FRICTION}",
        "motors": arm.parameters(stepping),
        "friction": bodies.parameters(),
        "robot": fingerprint.digest(arm.physical(robot)),
        "scene": fingerprint.digest([bodies.physical(body) for body in placed]),
        CONTROL: reference.control(robot),
    }
    if stepping.contact_gain is not None:
        found["contact_gain"] = str(stepping.contact_gain)
    if stepping.all_pairs:
        found["broadphase"] = "all pairs"
    return found


def require_same(recorded: Mapping[str, str], here: Mapping[str, str], *, driven: bool = True) -> None:
    """Raise EngineMismatchError if two records differ, saying how they differ and what to do.

    If the actions are not `driven` again but taken as recorded, the controller does not matter.
    """
    _require_simulated(recorded)
    beside = set() if driven else {CONTROL}
    names = sorted(name for name in {*recorded, *here} - beside if recorded.get(name) != here.get(name))
    if not names:
        return
    said = ", ".join(f"{name} {recorded.get(name)} (here {here.get(name)})" for name in names)
    means = "".join(f"; {name}: {_MEANS[name]}" for name in names if name in _MEANS)
    raise EngineMismatchError(f"another engine made the episode: {said}{means}")


def _require_simulated(recorded: Mapping[str, str]) -> None:
    if not recorded:
        raise EngineMismatchError("the episode does not say which engine made it: it was not simulated")
