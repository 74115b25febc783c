"""Why a data set was not made or changed: one error each, with what was expected and, of many, the first to mend."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

from sim.words import listed

NAMED_MAX: Final = 20
"""How many episodes a refusal names."""


class DatasetRefusedError(Exception):
    """A data set was not made or changed. Subclasses say why; their names are the codes of `docs/http.md`."""

    status = 409


class UnknownDatasetError(DatasetRefusedError):
    """There is no such data set, or not in that version."""

    status = 404


class DatasetNameInvalidError(DatasetRefusedError):
    """This cannot be a data set's name."""

    status = 422


class DatasetThereError(DatasetRefusedError):
    """A data set has that name."""


class NotTheNamespaceError(DatasetRefusedError):
    """The namespace belongs to another wallet."""

    status = 403


class TooManyNamespacesError(DatasetRefusedError):
    """A wallet has as many namespaces as it may have."""


class TooManyDatasetsError(DatasetRefusedError):
    """A namespace has as many data sets as it may have."""


class LicenceError(DatasetRefusedError):
    """This is no licence for data that we know."""

    status = 422


class TextInvalidError(DatasetRefusedError):
    """A text is missing, too long, or has characters that nobody can see."""

    status = 422


class NoEpisodesError(DatasetRefusedError):
    """A data set was to be made of nothing."""

    status = 422


class NothingNewError(DatasetRefusedError):
    """A change would change nothing."""


class TooManyEpisodesError(DatasetRefusedError):
    """A version would have more episodes than one may have."""

    status = 422


class LicencesDifferError(DatasetRefusedError):
    """Two data sets are given under different licences, so they cannot be merged."""


class EpisodesRefusedError(DatasetRefusedError):
    """Some episodes cannot be in a data set; `episodes` are all of them."""

    status = 422
    says = "cannot be in a data set"

    def __init__(self, episodes: Collection[str]) -> None:
        super().__init__(f"{named(episodes)} {self.says}")
        self.episodes = tuple(episodes)


class UnknownEpisodesError(EpisodesRefusedError):
    """The hub does not have them."""

    status = 404
    says = "not known to this hub: check the ids"


class UnverifiedEpisodesError(EpisodesRefusedError):
    """They are not verified."""

    says = "not verified: only verified episodes can be in a data set"


class WithdrawnEpisodesError(EpisodesRefusedError):
    """Their operators' consent has ended."""

    says = "withdrawn: the operator's consent has ended, and no new version of a data set may have it"


class ErasedEpisodesError(EpisodesRefusedError):
    """Their files are gone."""

    says = "erased: the hub has no files of it any more"


class UnscoredEpisodesError(EpisodesRefusedError):
    """They have no score yet, so nobody knows whether they are practice."""

    status = 409
    says = "not scored yet, so it may be practice: try again in a minute, or say `practice: true` (--practice)"


class PracticeEpisodesError(EpisodesRefusedError):
    """They are practice, which was not asked for."""

    says = "practice, of a wallet's first drive: say `practice: true` (--practice) if you want it"


class TornEpisodesError(EpisodesRefusedError):
    """They began or moved like episodes of one split, and like those of another."""

    status = 409
    says = "like episodes of two different splits, by its start or its motion, so it would leak: leave it out"


class PrivateEpisodesError(EpisodesRefusedError):
    """They are private, and whoever asked may not read them, or not pass them on."""

    status = 403
    says = "private, and not yours to read or to pass on: its robot's owner says who may"


class PrivateDatasetError(DatasetRefusedError):
    """A version has private episodes, and is given to those who may read it."""

    status = 403


class NotInDatasetError(EpisodesRefusedError):
    """The newest version does not have them."""

    says = "not in the newest version of the data set"


def named(episodes: Collection[str]) -> str:
    """Return `EPISODES is`, or `are`: at most 20 of them, and how many more there are."""
    some = [repr(one[:80]) for one in islice(episodes, NAMED_MAX)]
    if len(episodes) > NAMED_MAX:
        some.append(f"{len(episodes) - NAMED_MAX} more")
    return f"{listed(some)} {'is' if len(episodes) == 1 else 'are'}"


def _kinds(kind: type[DatasetRefusedError]) -> Iterator[type[DatasetRefusedError]]:
    """Yield what is of a kind, and then the kind itself."""
    for each in kind.__subclasses__():
        yield from _kinds(each)
    yield kind


STATUS: Final[dict[type[Exception], int]] = {kind: kind.status for kind in _kinds(DatasetRefusedError)}
