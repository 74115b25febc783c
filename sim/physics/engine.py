"""The physics engine as every world uses it: its parameters and the floor, and all of it that a replay must match."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.physics import arm, bodies, fingerprint
from sim.physics.bullet import BulletClient, pybullet
from sim.robot import RobotError
from sim.task import Task

CONTROL_HZ: Final = 20
PHYSICS_HZ: Final = 240
SUBSTEPS: Final = PHYSICS_HZ // CONTROL_HZ
SOLVER_ITERATIONS: Final = 50
SOLVER_RESIDUAL: Final = 3e-4
"""The solver ends early where an iteration changes less than this: a free arm needs few iterations, a grasp all."""
GRAVITY_M_S2: Final = -9.81
SETTLE_STEPS: Final = 60
"""Physics steps before an episode begins, so that what was placed has come to rest."""
FLOOR_HALF_M: Final = 8.0
FLOOR_DEPTH_M: Final = 0.5
FLOOR_FRICTION: Final = 1.0
_MEANS: Final = {
    "version": "install that version of PyBullet",
    "build": "this build of PyBullet computes other bits; install the wheel of the package index",
    "libm": "sin, exp and the like end in other bits here; replay with the same C library, on a processor that has "
    "fused multiply-add where the other has it",
    "machine": "replay on that kind of machine",
    "robot": "the robot's motors or hands are other ones; use the version of armshare that recorded it",
    "scene": "the task places or shapes its things otherwise; use the version of armshare that recorded it",
}


class EngineMismatchError(RobotError):
    """An episode was made with another engine than the one here, so a replay would prove nothing."""


def prepare(client: BulletClient) -> None:
    """Empty the engine, set its parameters, and lay the floor."""
    client.resetSimulation()
    client.setPhysicsEngineParameter(
        fixedTimeStep=1.0 / PHYSICS_HZ,
        numSolverIterations=SOLVER_ITERATIONS,
        solverResidualThreshold=SOLVER_RESIDUAL,
        deterministicOverlappingPairs=1,
        enableFileCaching=0,  # 9 MiB for each world
    )
    client.setGravity(0.0, 0.0, GRAVITY_M_S2)
    # A slab: the bounds of an endless plane overlap with every link, and each would be tested in each step.
    half = [FLOOR_HALF_M, FLOOR_HALF_M, 0.5 * FLOOR_DEPTH_M]
    slab = client.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half)
    floor = client.createMultiBody(0.0, slab, basePosition=[0.0, 0.0, -0.5 * FLOOR_DEPTH_M])
    client.changeDynamics(floor, -1, lateralFriction=FLOOR_FRICTION)


def record(robot: RobotDescription, task: Task) -> dict[str, str]:
    """Return what a replay must match, as text, besides the files of the robot and the version of the task."""
    placed = task.bodies(robot, np.random.Generator(np.random.PCG64(0)))
    return {
        "name": "pybullet",
        "version": version("pybullet"),
        "api": str(pybullet.getAPIVersion()),
        "build": fingerprint.build(),
        "libm": fingerprint.libm(),
        "machine": platform.machine(),
        "physics_hz": str(PHYSICS_HZ),
        "control_hz": str(CONTROL_HZ),
        "solver_iterations": str(SOLVER_ITERATIONS),
        "solver_residual": str(SOLVER_RESIDUAL),
        "deterministic_pairs": "1",
        "settle_steps": str(SETTLE_STEPS),
        "gravity_m_s2": str(GRAVITY_M_S2),
        "floor": f"{FLOOR_HALF_M} {FLOOR_DEPTH_M} {FLOOR_FRICTION}",
        "motors": arm.parameters(),
        "friction": bodies.parameters(),
        "robot": fingerprint.digest(arm.physical(robot)),
        "scene": fingerprint.digest([bodies.physical(body) for body in placed]),
    }


def require_same(recorded: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Raise EngineMismatchError where two records differ, saying in what and what to do."""
    if not recorded:
        raise EngineMismatchError("expected an episode that says which engine made it, got none: it was not simulated")
    names = sorted(name for name in {*recorded, *here} if recorded.get(name) != here.get(name))
    if not names:
        return
    said = ", ".join(f"{name} {recorded.get(name)} (here {here.get(name)})" for name in names)
    means = "".join(f"; {name}: {_MEANS[name]}" for name in names if name in _MEANS)
    raise EngineMismatchError(f"expected the engine that made the episode: {said}{means}")
