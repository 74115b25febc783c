"""Writing episodes as they were ordered: the same for the command line and for a hub, and said in the same words.

Of a version of a data set, the episodes are written split by split, in the version's order within each: LeRobot says a
split as a range of episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from recorder.export.demonstrations import Demonstrations, Gone, Splits, Watch, demonstrations
from recorder.export.errors import ExportError
from recorder.export.formats import Format, drawn, judging
from recorder.file.episode import Episode
from recorder.proof.case import Trust
from rewards.datasets.columns import score_facts
from rewards.datasets.version import DatasetVersion, Member, Split

Check = Callable[[Demonstrations], None]
"""Looks at the episodes before anything is written; raises an ExportError if they are not what was ordered."""
Facts = Callable[[Path, Episode], Mapping[str, Any]]


class MembersError(ExportError):
    """The episodes that are there are not those that the version names."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How episodes are to be written."""

    action: str = "ee_twist"
    camera: tuple[str, ...] | None = None
    """None: all that were recorded, which is none of a simulation's."""
    size: tuple[int, int] = (640, 480)
    """Width and height of pictures that are drawn."""
    all_steps: bool = False
    """Whether steps in which nobody drove are kept."""
    language: bool = True
    """For lerobot and lance: whether the columns of language are written."""
    length: int | None = None
    """For act: the steps that each episode gets."""


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was written, in words."""

    written: str
    """How much, such as `10 episodes, 1234 frames`."""
    fits: str
    """The environment that the actions fit, as a call; empty if there is none."""
    judged: str
    """The command that judges a policy that was trained on it; empty if there is no environment."""

    def lines(self, target: Path) -> Iterator[str]:
        """Yield what is told to whoever ordered it."""
        yield f"{self.written}, in {target}"
        if self.fits:
            yield f"The actions fit {self.fits}"
            yield f"A policy is judged by {self.judged}"


def write(
    bundles: Sequence[Path],
    target: Path,
    form: Format,
    order: Order,
    *,
    trust: Trust | None,
    watch: Watch,
    facts: Facts = score_facts,
    unverified: bool = False,
    gone: Gone | None = None,
    check: Check = lambda found: None,
    splits: Splits = (),
) -> tuple[Said, Demonstrations]:
    """Write episodes to `target`, whole or not at all; return what was written. Raises an ExportError."""
    found = demonstrations(
        bundles,
        action=order.action,  # type: ignore[arg-type]  # a name that it does not know is refused in words
        cameras=order.camera,
        size=order.size,
        facts=facts,
        draw=drawn,
        trust=trust,
        unverified=unverified,
        gone=gone,
        driven_only=not order.all_steps,
        watch=watch,
    )
    form.require_imports(found.imported)
    check(found)
    options = {"language": order.language, "length": order.length, "splits": splits}
    written = form.write(found, target, options)
    fits = found.space.env.call
    return Said(written, fits, judging(found) if fits else ""), found


def write_version(
    version: DatasetVersion,
    bundles: Sequence[Path],
    target: Path,
    form: Format,
    order: Order,
    *,
    trust: Trust | None,
    watch: Watch,
) -> tuple[Said, Demonstrations]:
    """Write a version from its episodes' bundles, which are in its order; as `write`.

    Raises MembersError too, if they are not those that it names.
    """
    ordered = sorted(zip(version.episodes, bundles, strict=True), key=lambda pair: _ORDER.index(pair[0].split))
    members = [member for member, _ in ordered]
    splits = {member.episode: member.split for member in members}

    def facts(bundle: Path, episode: Episode) -> dict[str, Any]:
        return {**score_facts(bundle, episode), "split": splits[episode.meta.episode].value}

    return write(
        [bundle for _, bundle in ordered],
        target,
        form,
        order,
        trust=trust,
        watch=watch,
        facts=facts,
        check=lambda found: _require_members(members, found),
        splits=splits_of(members),
    )


_ORDER = list(Split)


def splits_of(members: Sequence[Member]) -> Splits:
    """Return the splits that members have, in the order in which they are written, and how many each has."""
    counts = [(split.value, sum(one.split is split for one in members)) for split in _ORDER]
    return [(name, count) for name, count in counts if count]


def _require_members(members: Sequence[Member], found: Demonstrations) -> None:
    """Raise MembersError unless these are the episodes of a version, in this order, by what was signed."""
    for one, digest in zip(members, found.digests, strict=True):
        if digest != one.digest:
            raise MembersError(
                f"The version names {one.episode} with the digest {one.digest}, and the hub has it with {digest}. "
                "Tell whoever runs the hub: a file in its store was replaced."
            )
