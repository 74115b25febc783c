"""Why episodes are no data set: one error for each reason, with a sentence that says what to do.

Those that an export has too (`MixedRobotsError`, `MixedTasksError`, `UnreadableBundleError`, `ActionError`) are an
export's.
"""

from __future__ import annotations


class DatasetError(Exception):
    """Episodes cannot be read so."""


class NoEpisodesError(DatasetError):
    """There is no episode, or `where` lets none pass."""


class UnknownKeyError(DatasetError):
    """`delta_timestamps` names what an item does not hold."""


class DeltaTimestampsError(DatasetError):
    """Times in `delta_timestamps` are not between any two frames."""


class NoCameraError(DatasetError):
    """An episode has no such camera, or no picture of it."""


class FactsError(DatasetError):
    """`score.json` is there and cannot be read."""


class RemoteError(DatasetError):
    """What a URL is answered with is not the file, or not what a hub or a bucket answers."""


class RemoteUnreachableError(RemoteError):
    """A server cannot be reached, or cannot answer now."""


class RemoteCutError(RemoteError):
    """An answer was cut short, again and again."""


class RemoteChangedError(RemoteError):
    """A file was changed while it was read."""
