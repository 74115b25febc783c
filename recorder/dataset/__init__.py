"""Episodes for training, in Python: frames and windows by index, with pictures from any camera.

    from recorder.dataset import EpisodeDataset, View

    data = EpisodeDataset(
        "episodes",
        cameras={"front": View("front", 224, 224), "any": [View("front"), View("side"), View("side", light="dim")]},
        action="ee_delta",
        delta_timestamps={"observation.images.front": [-0.1, 0.0], "action": [0.0, 0.05, 0.1]},
        where=lambda facts: facts["success"] and facts["trust"] == "replayed",
        hub="hub.json",
    )
    data.draw()
    data[0]["observation.images.front"].shape

What an item holds is NumPy; torch's DataLoader takes the data set as it is, with any number of workers. This is the
public reader: docs/tutorials/data.md introduces it, and what it exports here stays.
"""

from recorder.dataset.dataset import EpisodeDataset, EpisodeRange
from recorder.dataset.errors import (
    DatasetError,
    DeltaTimestampsError,
    FactsError,
    NoCameraError,
    NoEpisodesError,
    RemoteChangedError,
    RemoteCutError,
    RemoteError,
    RemoteUnreachableError,
    UnknownKeyError,
)
from recorder.dataset.facts import Facts, Hub, facts_of
from recorder.dataset.remote.ranged import RangedFile
from recorder.export.errors import ActionError, ExportError, MixedRobotsError, MixedTasksError, UnreadableBundleError
from recorder.pictures.cache import PictureCache
from recorder.pictures.channel import PictureCodec
from recorder.pictures.drawn import View
from recorder.pictures.encoded import Plane
from recorder.proof.named import HubKeysError

__all__ = [
    "ActionError",
    "DatasetError",
    "DeltaTimestampsError",
    "EpisodeDataset",
    "EpisodeRange",
    "ExportError",
    "Facts",
    "FactsError",
    "Hub",
    "HubKeysError",
    "MixedRobotsError",
    "MixedTasksError",
    "NoCameraError",
    "NoEpisodesError",
    "PictureCache",
    "PictureCodec",
    "Plane",
    "RangedFile",
    "RemoteChangedError",
    "RemoteCutError",
    "RemoteError",
    "RemoteUnreachableError",
    "UnknownKeyError",
    "UnreadableBundleError",
    "View",
    "facts_of",
]
