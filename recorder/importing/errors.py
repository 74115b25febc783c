"""Why a data set, or one of its episodes, cannot be imported: one error for each reason, in a sentence."""

from __future__ import annotations


class ImportSetError(Exception):
    """A data set cannot be imported; nothing of it was."""


class NotADataSetError(ImportSetError):
    """What was named is no data set of a known format."""


class SetVersionError(ImportSetError):
    """It is a data set of a version that is not known here."""


class NoRateError(ImportSetError):
    """Nothing says how many steps it takes in a second."""


class ImportTargetError(ImportSetError):
    """Episodes cannot be written there."""


class UnreadableSetError(ImportSetError):
    """Looking at the data set takes too much, or ended the process that did."""


class BrokenEpisodeError(Exception):
    """One episode cannot be imported; the others can."""


class MissingPartError(BrokenEpisodeError):
    """A file, a column or a dataset of it is missing."""


class OutsideError(BrokenEpisodeError):
    """A link leads out of the data set, or to anything but a regular file."""


class LengthsDisagreeError(BrokenEpisodeError):
    """Its parts have different lengths, or other shapes than the data set says."""


class NotFiniteError(BrokenEpisodeError):
    """A value is not a number, or is infinite."""


class TooShortError(BrokenEpisodeError):
    """It has fewer than two frames."""


class TooMuchError(BrokenEpisodeError):
    """It declares more than an episode may have."""


class ForbiddenPartError(BrokenEpisodeError):
    """It is stored in a way that is not read from a stranger, or is no number."""


class ClaimError(BrokenEpisodeError):
    """What it says of its robot contradicts its arrays, or cannot be written in an episode."""


class PicturesBrokenError(BrokenEpisodeError):
    """Its pictures are cut off or damaged, or there is no picture for some frame."""


class TooCostlyError(BrokenEpisodeError):
    """Reading it takes more memory or time than an honest episode could."""


class LostError(BrokenEpisodeError):
    """The process that read it ended in the middle: a decoder crashed on it, or somebody ended that process."""
