"""A simulated robot: one PyBullet client that holds a floor, an arm and a task, and is a `Robot`.

Everything that a replay needs is fixed here and in `engine.py`: the engine's parameters, the order of loading, and how
an action becomes motor targets. The same seed and the same applied actions give the same bits.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.description import RobotDescription
from sim.physics import engine
from sim.physics.arm import require_loadable
from sim.physics.bodies import arrays
from sim.physics.bullet import BulletClient, new_client
from sim.physics.setup import Setup
from sim.physics.stepping import CONTROL_HZ, CURRENT, Stepping
from sim.robot import Action, NotConnectedError, Observation, RobotError, RobotSpec, UnstableWorldError, checked
from sim.scene import Scene
from sim.task import Task, Values, progress
from sim.tasks.parts.setting import setting

ROOM_M: Final = 4.0
_FINITE: Final = float(np.finfo(np.float64).max)


class World:
    """A simulated robot at a task. `send_action` advances the physics by one control period."""

    def __init__(self, description: RobotDescription, task: Task, stepping: Stepping = CURRENT) -> None:
        self._description = description
        self._task = task
        self._stepping = stepping
        self._blend = np.arange(1, stepping.substeps + 1, dtype=np.float64).reshape(-1, 1) / stepping.substeps
        self._client: BulletClient | None = None
        self._setup: Setup | None = None
        self._places: NDArray[np.intp] | None = None
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
    def stepping(self) -> Stepping:
        """How finely its physics divide a control period."""
        return self._stepping

    @property
    def scene(self) -> Scene:
        """What surrounds the robot in this episode, with its own colours, light and cameras."""
        self._connected()
        return self._scene

    @property
    def spec(self) -> RobotSpec:
        """What a driver needs to know about the robot."""
        if self._spec is None:
            self._spec = _spec(self._description, self._task, self._stepping)
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

    def at(self, task: Task) -> World:
        """Return this robot's world at another task: connected if this one is, in its engine, which this one gives up.

        The robot stays loaded, so this costs as much as a reset. Raises what `reset` does; both are then disconnected.
        """
        other = World(self._description, task, self._stepping)
        other._client, other._setup = self._client, self._setup
        self._client = self._setup = None
        if other._client is not None:
            try:
                other.reset(0)
            except RobotError:
                other.disconnect()
                raise
        return other

    def disconnect(self) -> None:
        """Stop the engine."""
        if self._client is not None:
            self._client.disconnect()
            self._client = self._setup = None

    def reset(self, seed: int) -> Observation:
        """Rebuild the scene from `seed` (a non-negative integer) and return the first observation."""
        client, scene = self._connected(), setting(self._description, self._task, seed)
        setup = self._rewound(client)
        home = Action(self.spec.home_rad, np.ones(self.spec.hands))
        setup.arm.place(home)
        self._arm, self._scene, self._bodies = setup.arm, scene, setup.add(scene.bodies)
        self._targets = self._arm.targets(home)
        self._arm.drive(self._targets.tolist(), [0.0] * len(self._targets))
        for _ in range(self._stepping.settle_steps):
            client.stepSimulation()
        self._held_steps, self._succeeded = 0, False
        self._seen = self._look()
        return self._seen

    def observe(self) -> Observation:
        """Return the exact state of arm and bodies, the task's progress, and whether it has succeeded."""
        self._connected()
        return self._seen

    def send_action(self, action: Action) -> Action:
        """Drive towards `action` for one control period, interpolating the motor targets from the last ones."""
        client = self._connected()
        applied = checked(action, self.spec)
        start, end = self._targets, self._arm.targets(applied)
        rates = ((end - start) * CONTROL_HZ).tolist()
        drive, step = self._arm.drive, client.stepSimulation
        for targets in (start + (end - start) * self._blend).tolist():
            drive(targets, rates)
            step()
        self._targets = end
        self._seen = self._look()
        return applied

    def _look(self) -> Observation:
        values = {**self._arm.observe(), **self._bodies.observe()}
        if self._places is None:
            self._places = _places(values)
        if not _stable(values, self._places):
            self._setup = None  # the next reset loads everything again: a state that is not finite cannot be rewound
            name = next(name for name, value in values.items() if not _stable({name: value}, _places({name: value})))
            raise UnstableWorldError(
                f"expected {name} finite and within {ROOM_M} m, got {values[name].tolist()}; the episode cannot count"
            )
        self._held_steps = self._held_steps + 1 if self._task.holds(values) else 0
        self._succeeded = self._succeeded or self._held_steps >= self._task.spec.success_hold_steps
        done = 1.0 if self._succeeded else progress(self._task.stages(values))
        return Observation(values, done, self._succeeded)

    def _rewound(self, client: BulletClient) -> Setup:
        if self._setup is None or not self._stepping.all_pairs:
            self._setup = Setup(client, self._description, self._stepping)
        else:
            self._setup.rewind()
        return self._setup

    def _connected(self) -> BulletClient:
        if self._client is None:
            raise NotConnectedError("expected connect() before this; the physics engine is not running")
        return self._client


def _places(values: Values) -> NDArray[np.intp]:
    """Return which of all the numbers, array after array, are positions, m."""
    marks = []
    for name, value in values.items():
        mark = np.zeros(value.shape, dtype=bool)
        mark[..., :3] = name.endswith("_pose")
        marks.append(mark.ravel())
    return np.flatnonzero(np.concatenate(marks))


def _stable(values: Values, places: NDArray[np.intp]) -> bool:
    """Whether everything is finite, and every position within the room."""
    size = np.abs(np.concatenate([value.ravel() for value in values.values()]))
    return bool((size <= _FINITE).all() and (size[places] <= ROOM_M).all())


def _spec(description: RobotDescription, task: Task, stepping: Stepping) -> RobotSpec:
    scene = setting(description, task)
    return description.spec(
        (*description.exact_arrays, *arrays(scene.bodies)),
        simulated=True,
        control_hz=float(CONTROL_HZ),
        scene=scene,
        task=task.spec,
        engine=engine.record(description, task, stepping),
    )
