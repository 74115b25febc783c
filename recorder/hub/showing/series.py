"""One channel as curves of a few points: the least and the most of each stretch, so that no peak is lost."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recorder.hub.showing.channels import ChannelView, Rows, channel_of
from recorder.hub.showing.clock import seconds
from recorder.hub.showing.opened import shown

POINTS_DEFAULT: Final = 1200
POINTS_MIN: Final = 16
POINTS_MAX: Final = 4000
_AT_ONCE: Final = 1 << 20
"""How many values are read at once: 8 MiB."""


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """A channel as curves. All channels of an episode have the same moments if they are asked for as many points."""

    episode: str
    channel: ChannelView
    whole: bool
    """Whether it has every row; otherwise two for each stretch, the least and the most of each curve."""
    t_s: list[float]
    """When each row is, s from the first observation, on the clock that the score measures motion on."""
    values: str
    """The rows, one after the other: base64 of little-endian float32; NaN if there is no value."""


def series_of(file: Path, name: str, points: int) -> SeriesAnswer:
    """Return a channel as at most so many points; raise an EpisodeError or UnknownChannelError."""
    with shown(file) as found:
        channel, t_s = channel_of(found, name), seconds(found)
        width = len(channel.view.columns)
        values = thinned(channel.rows, len(t_s), width, points)
        rows = kept(len(t_s), points)
    return SeriesAnswer(
        episode=found.meta.episode,
        channel=channel.view,
        whole=len(rows) == len(t_s),
        t_s=[round(float(t), 4) for t in t_s[rows]],
        values=base64.b64encode(values.astype("<f4").tobytes()).decode(),
    )


def kept(rows: int, points: int) -> NDArray[np.intp]:
    """Return at which rows the points are: all of them, or the first and the last of each stretch."""
    if rows <= points:
        return np.arange(rows)
    edges = _edges(rows, points)
    return np.stack([edges[:-1], edges[1:] - 1], axis=1).reshape(-1)


def thinned(read: Rows, rows: int, width: int, points: int) -> NDArray[np.float64]:
    """Return (points, width): the rows as they are, or the least and the most of each stretch, as they rise or fall."""
    if rows <= points:
        return read(0, rows)
    edges = _edges(rows, points)
    return np.concatenate([_extremes(read, part) for part in _parts(edges, width)])


def _edges(rows: int, points: int) -> NDArray[np.intp]:
    return np.linspace(0, rows, points // 2 + 1).astype(np.intp)


def _parts(edges: NDArray[np.intp], width: int) -> Iterator[NDArray[np.intp]]:
    """Cut the stretches into parts that are read at once."""
    longest = int(np.diff(edges).max())
    together = max(1, _AT_ONCE // max(1, longest * width))
    for first in range(0, len(edges) - 1, together):
        yield edges[first : first + together + 1]


def _extremes(read: Rows, edges: NDArray[np.intp]) -> NDArray[np.float64]:
    values, starts = read(int(edges[0]), int(edges[-1])), edges[:-1] - edges[0]
    least, most = np.fmin.reduceat(values, starts, axis=0), np.fmax.reduceat(values, starts, axis=0)
    ends = edges[1:] - edges[0] - 1
    falls = values[ends] < values[starts]
    pairs = np.stack([np.where(falls, most, least), np.where(falls, least, most)], axis=1)
    return pairs.reshape(-1, values.shape[1])
