"""Why episodes cannot be exported together: one error for each reason, with a sentence that says what to do."""

from __future__ import annotations


class ExportError(Exception):
    """Episodes cannot be exported together; nothing was written."""


class NothingToExportError(ExportError):
    """No bundles were given."""


class MixedRobotsError(ExportError):
    """Episodes of robots with different joints, limits or observations do not fit into one data set."""


class MixedTasksError(ExportError):
    """Episodes of several tasks do not fit into one data set."""


class UnreadableBundleError(ExportError):
    """A folder does not hold a readable bundle."""


class UnverifiedError(ExportError):
    """An episode has no hub's receipt, or one of its documents does not stand."""


class WithdrawnError(ExportError):
    """A hub no longer gives an episode out."""


class RepeatedEpisodeError(ExportError):
    """One episode was given twice."""


class ActionError(ExportError):
    """An episode does not have such actions."""


class CameraError(ExportError):
    """An episode has no such camera, or its pictures do not fit with those of the others."""


class TargetError(ExportError):
    """The export cannot be written there."""


class LengthError(ExportError):
    """Episodes of several lengths do not fit into one data set."""
