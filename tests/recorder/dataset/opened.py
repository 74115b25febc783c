"""What a worker process does with a data set in the tests; it loads nothing else."""

from __future__ import annotations

from recorder.dataset import EpisodeDataset


def read_here(data: EpisodeDataset, index: int) -> tuple[int, list[float]]:
    """Return something of each part of a frame."""
    frame = data[index]
    return int(frame["observation.images.front"].sum()), frame["observation.joint_position"].tolist()
