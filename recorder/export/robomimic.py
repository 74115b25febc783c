"""Export to robomimic's HDF5 (github.com/ARISE-Initiative/robomimic, docs/datasets/overview): one file, many demos.

A demo is one stretch without a gap, so an episode in which the operator paused gives two. Its actions are those of
`--action`, in [-1, 1]; `env_args` names the environment that takes them. Pictures are uint8 (N, H, W, 3). Each demo
names its episode, digest, operator and score, and `/stats` holds each dataset's range, mean and deviation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from recorder.export.demonstrations import Demonstration, Demonstrations
from recorder.export.errors import CameraError
from recorder.export.hdf5 import action_attributes, add_view, episode_attributes, naming, new_file, unbroken
from recorder.export.statistics import Statistics, of_values, together
from recorder.export.target import whole_file
from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.decode import Decoder
from sim.robot import Vector

_TIERS: Final = ("worse", "okay", "better")
"""Masks for thirds of the episodes by score, as robomimic's multi-human data sets have them for operators."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    demos: int
    samples: int
    valid_demos: int
    """How many of them are in the mask `valid`, for validation."""


@dataclass(slots=True)
class _Written:
    """What is known of the demos so far."""

    episodes: list[int] = field(default_factory=list)
    """For each demo, which episode it is of."""
    successes: list[bool] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)
    """For each demo, its episode's."""
    samples: int = 0
    statistics: dict[str, list[Statistics]] = field(default_factory=dict)
    """Dataset -> its statistics in each demo."""

    def add(self, one: Demonstration, samples: int) -> None:
        """Count a demo."""
        score = one.facts.get("score")
        self.episodes.append(one.number)
        self.successes.append(bool(one.facts.get("success")))
        self.scores.append(None if score is None else float(score))
        self.samples += samples


def export(demonstrations: Demonstrations, target: Path, *, valid_ratio: float = 0.1) -> Exported:
    """Write the demos, in their order, to `target`; the demos of every 1/`valid_ratio`-th episode are the mask `valid`.

    Raises an ExportError, and then leaves what was there.
    """
    written = _Written()
    with whole_file(target) as path, new_file(path) as file:
        data = file.create_group("data")
        for one in demonstrations:
            for steps in unbroken(one):
                demo = data.create_group(f"demo_{len(written.episodes)}")
                with naming(one):
                    _write_demo(demo, one, steps, written.statistics)
                demo.attrs.update(_attributes(one, steps))
                written.add(one, steps.stop - steps.start)
        data.attrs.update(_about_all(demonstrations, written))
        valid = _write_masks(file, written, len(demonstrations), valid_ratio)
        for name, found in written.statistics.items():
            file.create_group(f"stats/{name}").attrs.update(together(found))
    return Exported(target, len(written.episodes), written.samples, valid)


def _write_demo(demo: h5py.Group, one: Demonstration, steps: slice, statistics: dict[str, list[Statistics]]) -> None:
    episode, count = one.episode, steps.stop - steps.start
    after = slice(steps.start + 1, steps.stop + 1)
    seen = episode.observations
    for name, array in seen.items():
        demo[f"obs/{name}"], demo[f"next_obs/{name}"] = array[steps], array[after]
        statistics.setdefault(f"obs/{name}", []).append(of_values(array[steps]))
    demo["actions"] = one.actions[steps]
    statistics.setdefault("actions", []).append(of_values(one.actions[steps]))
    demo["states"] = np.hstack([array[steps].reshape(count, -1) for array in seen.values()])
    demo["rewards"] = _rewards(one)[steps]
    demo["dones"] = (np.arange(count) == count - 1).astype(np.int64)
    for name, array in _recorded(one).items():
        demo[name] = array[steps]
    for camera in one.pictures.values():
        _write_pictures(demo, camera, camera.at(episode.t_observed_ns[steps.start : steps.stop + 1]))


def _rewards(one: Demonstration) -> Vector:
    """Return (N,): 1 for a step after which the task was done, by the next step that is exported."""
    total = np.concatenate([[0], np.cumsum(one.episode.arrays["success"] == 1)])
    following = np.append(one.steps[1:], one.episode.steps)
    rewards = np.zeros(one.episode.steps)
    rewards[one.steps] = total[following + 1] > total[one.steps + 1]
    return rewards


def _recorded(one: Demonstration) -> Mapping[str, NDArray[Any]]:
    """Return what was applied, as it was recorded, when, and whether it was driven: name -> (N, ...)."""
    episode = one.episode
    poses = {
        f"action_dict/{end.pose}": episode.applied_ee_pose[:, hand]
        for hand, end in enumerate(episode.meta.spec.end_effectors)
    }
    return poses | {
        "action_dict/joint_position": episode.applied_joint_position,
        "action_dict/gripper": episode.applied_gripper,
        "driven": one.driven,
        "timestamps/t_observed_mono_ns": episode.t_observed_ns[:-1],
        "timestamps/t_sent_mono_ns": episode.t_sent_ns,
    }


def _write_pictures(demo: h5py.Group, camera: Pictures, chosen: NDArray[np.int64]) -> None:
    """Write the `chosen` (n+1,) pictures: each once, and then `obs` and `next_obs` as views of them."""
    decoder, name = Decoder(camera), f"{camera.name}_{_modality(camera)}"
    first = _channels(decoder.frame(int(chosen[0])), camera)
    shape = (len(chosen), *first.shape)
    stored = demo.create_dataset(f"pictures/{name}", shape, first.dtype, chunks=(1, *first.shape))
    for row, index in enumerate(chosen.tolist()):
        stored[row] = _channels(decoder.frame(index), camera)
    for group, start in (("obs", 0), ("next_obs", 1)):
        add_view(demo[group], name, stored, slice(start, start + len(chosen) - 1))


def _modality(camera: Pictures) -> str:
    return "depth" if camera.codec is PictureCodec.DEPTH16 else "image"


def _channels(pixels: NDArray[Any], camera: Pictures) -> NDArray[Any]:
    """Return (H, W, C): colours, or depth in metres."""
    if camera.codec is PictureCodec.DEPTH16:
        return (pixels.astype(np.float32) * np.float32(camera.depth_unit_m))[..., None]
    if pixels.dtype != np.uint8:
        raise CameraError(f"{camera.name} takes neither colours nor depth: leave it out.")
    return pixels


def _attributes(one: Demonstration, steps: slice) -> dict[str, Any]:
    return episode_attributes(one) | {
        "num_samples": steps.stop - steps.start,
        "first_step": steps.start,
        "sha256": one.manifest.files[0].sha256,
        "content_root": one.manifest.content_root,
    }


def _about_all(demonstrations: Demonstrations, written: _Written) -> dict[str, Any]:
    meta = demonstrations.meta
    return {
        "total": written.samples,
        "instruction": meta.task.instruction,
        "control_hz": meta.spec.control_hz,
        **action_attributes(demonstrations.space),
    }


def _write_masks(file: h5py.File, written: _Written, episodes: int, valid_ratio: float) -> int:
    """Write the masks; no episode is in both `train` and `valid`. Return how many demos `valid` has."""
    held = _held_out(episodes, valid_ratio)
    masks = {
        "train": [episode not in held for episode in written.episodes],
        "valid": [episode in held for episode in written.episodes],
        "success": written.successes,
        **_tiers(written),
    }
    for name, chosen in masks.items():
        demos = [f"demo_{number}" for number, one in enumerate(chosen) if one]
        file[f"mask/{name}"] = np.array(demos, dtype="S")
    return sum(masks["valid"])


def _held_out(episodes: int, valid_ratio: float) -> frozenset[int]:
    """Return the episodes for validation: at least one of two or more, unless the ratio is 0."""
    if episodes < 2 or valid_ratio <= 0:
        return frozenset()
    every = round(1 / valid_ratio)
    return frozenset(range(every - 1, episodes, every)) or frozenset({episodes - 1})


def _tiers(written: _Written) -> Mapping[str, list[bool]]:
    """Return thirds of the episodes by score, if all of them have one and there are three."""
    by_episode = dict(zip(written.episodes, written.scores, strict=True))
    scores = sorted((score, episode) for episode, score in by_episode.items() if score is not None)
    if len(scores) < len(_TIERS) or len(scores) < len(by_episode):
        return {}
    thirds = np.array_split([episode for _, episode in scores], len(_TIERS))
    return {name: _within(written.episodes, third.tolist()) for name, third in zip(_TIERS, thirds, strict=True)}


def _within(episodes: Sequence[int], chosen: Sequence[int]) -> list[bool]:
    return [episode in set(chosen) for episode in episodes]
