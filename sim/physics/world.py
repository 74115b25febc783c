"""A robot made of physics: one PyBullet client that holds a floor, an arm and a task, and is a `Robot`.

Everything that a replay needs is fixed here and in `engine.py`: the engine's parameters, the order of loading, and the
way in which an action becomes motor targets. The same seed and the same applied actions give the same bits.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.physics import engine
from sim.physics.arm import Arm, require_loadable
from sim.physics.bodies import Bodies, arrays
from sim.physics.bullet import BulletClient, new_client
from sim.physics.engine import CONTROL_HZ, SETTLE_STEPS, SUBSTEPS
from sim.robot import Action, NotConnectedError, Observation, RobotError, RobotSpec, UnstableWorldError, checked
from sim.scene import Scene
from sim.task import Task, Values, progress
from sim.tasks.parts.setting import setting

ROOM_M: Final = 4.0
_BLEND: Final = np.arange(1, SUBSTEPS + 1, dtype=np.float64).reshape(-1, 1) / SUBSTEPS


class World:
    """A simulated robot at a task. `send_action` advances the physics by one control period."""

    def __init__(self, description: RobotDescription, task: Task) -> None:
        self._description = description
        self._task = task
        self._client: BulletClient | None = None
        self._spec: RobotSpec | None = None
        self._held_steps = 0
        self._succeeded = False

    @property
    def task(self) -> Task:
        """The task that this world is built for."""
        return self._task

    @property
    def description(self) -> RobotDescription:
        """The robot's data."""
        return self._description

    @property
    def scene(self) -> Scene:
        """What stands around the robot in this episode, with its own colours, light and cameras."""
        self._connected()
        return self._scene

    @property
    def spec(self) -> RobotSpec:
        """What a driver needs to know."""
        if self._spec is None:
            self._spec = _spec(self._description, self._task)
        return self._spec

    def connect(self) -> None:
        """Start the engine and build a first scene, from seed 0. Raises a UrdfError."""
        if self._client is not None:
            return
        require_loadable(self._description)
        self._client = new_client()
        try:
            self.reset(0)
        except RobotError:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """Stop the engine."""
        if self._client is not None:
            self._client.disconnect()
            self._client = None

    def reset(self, seed: int) -> Observation:
        """Rebuild the scene from `seed` (a non-negative integer) and return what is seen."""
        client = self._connected()
        engine.prepare(client)
        self._arm = Arm(client, self._description)
        home = Action(self.spec.home_rad, np.ones(self.spec.hands))
        self._arm.place(home)
        self._scene = setting(self._description, self._task, seed)
        self._bodies = Bodies(client, self._scene.bodies)
        self._targets = self._arm.targets(home)
        self._arm.drive(self._targets.tolist(), [0.0] * len(self._targets))
        for _ in range(SETTLE_STEPS):
            client.stepSimulation()
        self._held_steps, self._succeeded = 0, False
        self._seen = self._look()
        return self._seen

    def observe(self) -> Observation:
        """Return the exact state of arm and bodies, the task's progress, and whether it has succeeded."""
        self._connected()
        return self._seen

    def send_action(self, action: Action) -> Action:
        """Drive towards `action` for one control period, blending the motor targets from the last ones."""
        client = self._connected()
        applied = checked(action, self.spec)
        start, end = self._targets, self._arm.targets(applied)
        rates = ((end - start) * CONTROL_HZ).tolist()
        drive, step = self._arm.drive, client.stepSimulation
        for targets in (start + (end - start) * _BLEND).tolist():
            drive(targets, rates)
            step()
        self._targets = end
        self._seen = self._look()
        return applied

    def _look(self) -> Observation:
        values = {**self._arm.observe(), **self._bodies.observe()}
        if not _stable(values):
            name = next(name for name, value in values.items() if not _stable({name: value}))
            raise UnstableWorldError(
                f"expected {name} finite and within {ROOM_M} m, got {values[name].tolist()}; the episode cannot count"
            )
        self._held_steps = self._held_steps + 1 if self._task.holds(values) else 0
        self._succeeded = self._succeeded or self._held_steps >= self._task.spec.success_hold_steps
        done = 1.0 if self._succeeded else progress(self._task.stages(values))
        return Observation(values, done, self._succeeded)

    def _connected(self) -> BulletClient:
        if self._client is None:
            raise NotConnectedError("expected connect() before this; the physics engine is not running")
        return self._client


def _stable(values: Values) -> bool:
    """Whether everything is finite, and every place within the room."""
    places = [value[..., :3].ravel() for name, value in values.items() if name.endswith("_pose")]
    whole = np.concatenate([value.ravel() for value in values.values()])
    return bool(np.isfinite(whole).all()) and (not places or float(np.abs(np.concatenate(places)).max()) <= ROOM_M)


def _spec(description: RobotDescription, task: Task) -> RobotSpec:
    scene = setting(description, task)
    return description.spec(
        (*description.exact_arrays, *arrays(scene.bodies)),
        simulated=True,
        control_hz=float(CONTROL_HZ),
        scene=scene,
        task=task.spec,
        engine=engine.record(description, task),
    )
