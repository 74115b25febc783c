"""One demonstration as rows of LeRobot's tables: what each column is, and its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.export.actions import ActionSpace
from recorder.export.demonstrations import Demonstration
from recorder.file.episode import Episode
from recorder.file.meta import ArrayMeta, Meta

IMAGES: Final = "observation.images."
LANGUAGE: Final = ("language_persistent", "language_events")
_POSE: Final = ("x", "y", "z", "qx", "qy", "qz", "qw")
_ROBOTS_OWN: Final = frozenset({"joint_position", "joint_velocity", "gripper_position", "finger_state"})


@dataclass(frozen=True, slots=True)
class Column:
    """One feature of LeRobot's that is kept in its tables."""

    name: str
    dtype: str
    """NumPy's name, which is LeRobot's too."""
    names: tuple[str, ...]
    """What each of its numbers is; empty for a single one."""

    @property
    def feature(self) -> dict[str, Any]:
        """Its entry of `features` in info.json."""
        return {"dtype": self.dtype, "shape": [len(self.names) or 1], "names": list(self.names) or None}


def columns(meta: Meta, space: ActionSpace, cameras: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of every data set of such episodes, in order."""
    state, around = _arrays(meta)
    vectors = [Column("observation.state", "float32", _names(state, meta))]
    if around:
        vectors.append(Column("observation.environment_state", "float32", _names(around, meta)))
    vectors.append(Column("action", "float32", space.names))
    single = [
        ("next.success", "bool"),
        ("next.done", "bool"),
        ("driven", "bool"),
        ("intervention", "bool"),
        ("step", "int64"),
        ("t_observed_mono_ns", "int64"),
        ("t_sent_mono_ns", "int64"),
        ("t_wall_ns", "int64"),
        *((f"t_captured_mono_ns.{camera}", "int64") for camera in cameras),
        ("timestamp", "float32"),
        ("frame_index", "int64"),
        ("episode_index", "int64"),
        ("index", "int64"),
        ("task_index", "int64"),
    ]
    if meta.robot.simulated:
        single = [("next.reward", "float32"), ("progress", "float32"), *single]
    return (*vectors, *(Column(name, dtype, ()) for name, dtype in single))


def sources(meta: Meta) -> dict[str, list[str]]:
    """Return which of the robot's arrays each vector holds, side by side, in their order."""
    state, around = _arrays(meta)
    found = {"observation.state": state, "observation.environment_state": around}
    return {name: [array.name for array in arrays] for name, arrays in found.items() if arrays}


def values(demonstration: Demonstration, first: int, fps: int) -> dict[str, NDArray[Any]]:
    """Return a demonstration's values by column, (M,) or (M, D); `first` is how many frames come before it."""
    episode, steps = demonstration.episode, demonstration.steps
    state, around = _arrays(episode.meta)
    frames = np.arange(len(steps), dtype=np.int64)
    found: dict[str, NDArray[Any]] = {
        "observation.state": _stacked(episode, state)[steps],
        "action": demonstration.actions[steps],
        "next.success": _next(episode.arrays["success"] == 1, steps),
        "next.done": frames == len(steps) - 1,
        "driven": demonstration.driven[steps],
        "intervention": _intervention(episode)[steps],
        "step": steps,
        **{path.removeprefix("time/"): _clock(episode, path)[steps] for path in _CLOCKS},
        "timestamp": (frames / fps).astype(np.float32),
        "frame_index": frames,
        "episode_index": np.full(len(steps), demonstration.number, np.int64),
        "index": first + frames,
        "task_index": np.zeros(len(steps), np.int64),
    }
    if around:
        found["observation.environment_state"] = _stacked(episode, around)[steps]
    for camera, pictures in demonstration.pictures.items():
        found[f"t_captured_mono_ns.{camera}"] = pictures.t_captured_ns[shown(demonstration, camera)]
    if episode.meta.robot.simulated:
        progress = episode.arrays["progress"]
        found["progress"] = progress[steps].astype(np.float32)
        found["next.reward"] = (progress[_after(steps, episode.steps)] - progress[steps]).astype(np.float32)
    return found


_CLOCKS: Final = ("time/t_observed_mono_ns", "time/t_sent_mono_ns", "time/t_wall_ns")
UNMEASURED_NS: Final = -1


def _clock(episode: Episode, path: str) -> NDArray[np.int64]:
    """Return what a clock showed, (N,) or (N+1,); -1 throughout if nobody measured it, as in some imported sets."""
    times: NDArray[np.int64] = episode.arrays[path]
    measured = episode.meta.origin is None or path in episode.meta.origin.values
    return times if measured else np.full_like(times, UNMEASURED_NS)


def shown(demonstration: Demonstration, camera: str) -> NDArray[np.int64]:
    """Return (M,): which of a camera's pictures each exported step shows, the newest by its observation."""
    return demonstration.pictures[camera].at(demonstration.episode.t_observed_ns[demonstration.steps])


def progress(demonstration: Demonstration) -> dict[str, NDArray[np.float32]]:
    """Return LeRobot's columns of progress (M,): `progress_dense`, and `progress_sparse`, the part of stages done."""
    found = demonstration.episode.arrays["progress"][demonstration.steps]
    made = {"progress_dense": found.astype(np.float32)}
    if stages := len(demonstration.episode.meta.task.stages):
        made["progress_sparse"] = (np.floor(found * stages + 1e-9) / stages).astype(np.float32)
    return made


def language(demonstration: Demonstration, fps: int) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """Return what holds from some time on, which every frame repeats, and what was said at each frame.

    The first are the instruction in all its wordings, and each stage from where it begins; the second are notes.
    """
    episode, steps = demonstration.episode, demonstration.steps
    task = episode.meta.task
    wordings = dict.fromkeys(text for text in (task.instruction, *task.paraphrases) if text)
    persistent = [_said("user", text, "task_aug", timestamp=0.0) for text in wordings]
    stages = _stage(episode)[steps]
    begins = np.flatnonzero((np.diff(stages, prepend=-1) != 0) & (stages >= 0) & (stages < len(task.stages)))
    persistent += [
        _said("assistant", task.stages[stages[frame]], "subtask", timestamp=frame / fps) for frame in begins.tolist()
    ]
    events: list[list[dict[str, Any]]] = [[] for _ in steps]
    for note in episode.meta.notes:
        at = int(np.searchsorted(episode.t_observed_ns[steps], int(note.t_mono_ns), side="right")) - 1
        events[max(at, 0)].append(_said("user", note.text, "interjection"))
    return persistent, events


def _said(role: str, content: str, style: str, **more: float) -> dict[str, Any]:
    return {"role": role, "content": content, "style": style, **more, "camera": None, "tool_calls": None}


def _stage(episode: Episode) -> NDArray[np.int64]:
    """Return (N+1,): how many stages are done; -1 if nobody knows, or there are none."""
    stages = len(episode.meta.task.stages)
    found = episode.arrays["progress"]
    known = np.isfinite(found) & (stages > 0)
    return np.where(known, np.floor(np.where(known, found, 0.0) * stages + 1e-9), -1).astype(np.int64)


def _intervention(episode: Episode) -> NDArray[np.bool_]:
    """Return (N,): where a person had taken over from a policy; older files do not say it."""
    found = episode.arrays.get("commanded/intervention")
    return np.zeros(episode.steps, np.bool_) if found is None else found == 1


def _after(steps: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return which observation follows each exported step: that of the next one, or the final one."""
    return np.append(steps[1:], count)


def _next(reached: NDArray[np.bool_], steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (M,): whether it was reached after a step, and by the next one that is exported."""
    total = np.concatenate([[0], np.cumsum(reached)])
    found: NDArray[np.bool_] = total[_after(steps, len(reached) - 1) + 1] > total[steps + 1]
    return found


def _arrays(meta: Meta) -> tuple[list[ArrayMeta], list[ArrayMeta]]:
    """Return the robot's own observation arrays, and those of the things around it, which only a simulation has."""
    if not meta.robot.simulated:
        return list(meta.spec.observation), []
    own = _ROBOTS_OWN | {end.pose for end in meta.spec.end_effectors}
    of_robot = [array for array in meta.spec.observation if array.name in own]
    return of_robot, [array for array in meta.spec.observation if array.name not in own]


def _names(arrays: Sequence[ArrayMeta], meta: Meta) -> tuple[str, ...]:
    return tuple(f"{array.name}.{part}" for array in arrays for part in _parts(array, meta))


def _parts(array: ArrayMeta, meta: Meta) -> Sequence[str]:
    size = int(np.prod(array.shape, dtype=np.int64))
    if array.name in ("joint_position", "joint_velocity") and size == meta.spec.joints:
        return meta.spec.joint_names
    return _POSE if array.shape == [7] else [str(index) for index in range(size)]


def _stacked(episode: Episode, arrays: Sequence[ArrayMeta]) -> NDArray[np.float32]:
    rows = [episode.observation(array.name).reshape(episode.steps + 1, -1) for array in arrays]
    return np.hstack(rows).astype(np.float32)


def facts_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return what is said of each episode, by name; None if it is not said of one."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
