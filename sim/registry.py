"""Gymnasium's names of every robot at every task: `armshare/Lift-Panda-v0`. `import sim.gym` registers them."""

from __future__ import annotations

from typing import Final

from gymnasium.envs.registration import register, registry

from sim.catalogue import own_pairs, pairs, task

NAMESPACE: Final = "armshare"


def env_id(robot: str, task_name: str) -> str:
    """Return the name of a pair, such as `armshare/Lift-Panda-v0`; a task's first version is v0."""
    return env_name(robot, task_name, task(task_name).spec.version)


def env_name(robot: str, task_name: str, version: int) -> str:
    """Return the name of a pair at a version of its task, whether or not it is here."""
    return f"{NAMESPACE}/{_title(task_name)}-{_title(robot)}-v{version - 1}"


def register_envs() -> None:
    """Register every pair that is not registered yet; the first one that is made loads the physics engine."""
    for robot, name in (*pairs(), *own_pairs()):
        if env_id(robot, name) not in registry:
            register(
                env_id(robot, name),
                entry_point="sim.gym:TaskEnv",
                kwargs={"robot": robot, "task": name},
                max_episode_steps=task(name).spec.max_steps,
            )


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
