"""`armshare dataset card --check`: a card is made again from the version's document and the episodes' files."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import msgspec

from armshare.client import client_of
from armshare.failures import DoorError
from recorder.file.apart import reader
from recorder.file.episode import Episode, EpisodeError
from recorder.proof.bundle import RECEIPT_FILE, RECEIPT_JSON, hashed, read_small
from recorder.proof.manifest import EPISODE_FILE
from rewards.datasets.card import CARD, Card, Judged, Tally
from rewards.datasets.comparing import differences, drawn_differences
from rewards.datasets.drawn import chosen
from rewards.datasets.facts import facts_of
from rewards.datasets.splits import start_key
from rewards.datasets.version import DatasetVersion, Member, Split
from rewards.score.score import score_of

VERSION_FILE: Final = "version.json"
CARD_FILE: Final = "card.json"
_VERSION: Final = msgspec.json.Decoder(DatasetVersion)
Watch = Callable[[str, int], None]


class CardError(DoorError):
    """There is no card to check, or not of this version."""


@dataclass(slots=True)
class Checked:
    """What came of a check."""

    dataset: str
    digest: str
    episodes: int = 0
    wrong: list[str] = field(default_factory=list)
    """Sentences."""
    unsaid: list[str] = field(default_factory=list)
    """What nobody can know from the files, or what was not compared, and why."""


def read_version(data: bytes) -> DatasetVersion:
    """Return a version; raise CardError unless the bytes are its canonical ones."""
    try:
        found = _VERSION.decode(data)
    except (ValueError, RecursionError) as error:
        raise CardError(f"This is not a version of a data set: {error}.") from error
    if found.encode() != data:
        raise CardError("The version is not canonical JSON (RFC 8785), so its digest cannot be made again.")
    return found


def read_card(data: bytes) -> Card:
    """Return a card; raise CardError."""
    try:
        return CARD.decode(data)
    except (ValueError, RecursionError) as error:
        raise CardError(f"This is not a card of a data set: {error}.") from error


def of_folder(folder: Path) -> tuple[bytes, bytes]:
    """Return the version and the card that are kept in a folder; raise CardError."""
    version, card = (read_small(folder / name) for name in (VERSION_FILE, CARD_FILE))
    if version is None or card is None:
        how = "`armshare dataset show NAMESPACE/NAME --to FOLDER` writes them"
        raise CardError(f"{folder} has no {VERSION_FILE} and {CARD_FILE}: {how}.")
    return version, card


def check(version_data: bytes, card: Card, folder: Path, hub: str, watch: Watch) -> Checked:
    """Make a card again and compare; episodes that are not in `folder` come from `hub`, if one is named."""
    version = read_version(version_data)
    digest = hashlib.sha256(version_data).hexdigest()
    done = Checked(f"{version.name}@{version.version}", digest)
    if card.digest != digest:
        done.wrong.append(f"The card is of the version {card.digest}, and this is {digest}.")
        return done
    rules = card.scores[0].rules if len(card.scores) == 1 else None
    drawn = chosen(one.episode for one in version.episodes) if card.drawn else frozenset()
    tally, starts = Tally(version, digest, drawn), _Starts()
    with _bundles(folder, hub) as bundle_of:
        for at, member in enumerate(version.episodes):
            watch(member.episode, at)
            _add(tally, starts, member, bundle_of(member.episode), rules, done, draw=member.episode in drawn)
    done.wrong += starts.leaks
    found = tally.card(card.lengths.from_s)
    done.wrong += differences(card, found, ("drawn", *_unsaid(card, done)))
    done.wrong += drawn_differences(card.drawn, found.drawn)
    return done


def _unsaid(card: Card, done: Checked) -> tuple[str, ...]:
    done.unsaid.append("practice: only a hub knows which drives were practice")
    if card.unscored or len(card.scores) > 1:
        done.unsaid.append("scores: the card has some without a score, or by several versions of the rules")
        return ("practice", "scores", "unscored")
    return ("practice",)


class _Starts:
    """Finds simulations that began alike and are in different splits."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, Split]] = {}
        self.leaks: list[str] = []

    def add(self, episode: Episode, member: Member) -> None:
        meta = episode.meta
        seed = meta.seed if meta.robot.simulated else None
        other, split = self._first.setdefault(
            start_key(meta.task.name, seed, member.digest), (member.episode, member.split)
        )
        if split is not member.split:
            self.leaks.append(f"{member.episode} ({member.split}) begins as {other} ({split}) does: the test leaks.")


def _add(
    tally: Tally,
    starts: _Starts,
    member: Member,
    bundle: Path | None,
    rules: str | None,
    done: Checked,
    *,
    draw: bool,
) -> None:
    """Add one episode, as its file is; what is wrong with it is noted."""
    done.episodes += 1
    found = None if bundle is None else hashed(bundle / EPISODE_FILE)
    if bundle is None or found is None or found[1] is None:
        done.wrong.append(f"{member.episode} is not here: fetch it, or name its hub with --hub.")
        return tally.add(member, None, Judged(None, None, None, None))
    if found != (member.size, member.sha256):
        done.wrong.append(f"{member.episode}: the file is not the one that the version names.")
    try:
        episode = reader().read(bundle / EPISODE_FILE)
    except EpisodeError as error:
        done.unsaid.append(f"{member.episode} cannot be read: {error}")
        return tally.add(member, None, Judged(None, None, _trust(bundle), None))
    starts.add(episode, member)
    score = score_of(episode, rules)
    return tally.add(member, facts_of(episode, draw), Judged(score.version, score.score_ppm, _trust(bundle), None))


def _trust(bundle: Path) -> str | None:
    """Return the class of trust that a receipt says; `armshare verify` says whether that is signed."""
    data = read_small(bundle / RECEIPT_FILE)
    try:
        said = None if data is None else RECEIPT_JSON.decode(data).trust
    except ValueError:
        return None
    return None if said is None or said is msgspec.UNSET else said.value


@contextmanager
def _bundles(folder: Path, hub: str) -> Iterator[Callable[[str], Path | None]]:
    """Yield what finds an episode's bundle: below `folder`, or downloaded, one at a time."""
    if not hub:
        yield lambda episode: folder / episode if (folder / episode).is_dir() else None
        return
    with client_of(hub) as client, tempfile.TemporaryDirectory() as scratch:

        def found(episode: str) -> Path | None:
            if (folder / episode).is_dir():
                return folder / episode
            for name in (EPISODE_FILE, RECEIPT_FILE):
                _download(client, episode, Path(scratch) / name)
            return Path(scratch)

        yield found


def _download(client: httpx.Client, episode: str, target: Path) -> None:
    target.unlink(missing_ok=True)  # the one before may be mapped
    with client.stream("GET", f"/api/episodes/{episode}/files/{target.name}") as answer:
        if answer.is_error:
            answer.read()
        with target.open("wb") as file:
            for block in answer.raise_for_status().iter_bytes():
                file.write(block)
