"""`armshare fetch` and `armshare download`: verified episodes as folders, and what can be done with them."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from armshare.client import As, client_of, config_of
from armshare.failures import PlatformError
from armshare.researcher.downloading import Downloads, Got, Outcome
from armshare.researcher.finding import for_words, pages, there_are
from armshare.researcher.whole import Wanted
from recorder.proof import manifest as manifests
from recorder.proof.bundle import MANIFEST_FILE, SCORE_FILE, read_small
from recorder.proof.manifest import Manifest, ManifestError
from rewards.datasets.version import DatasetVersion
from sim.robot import RobotError
from sim.words import listed
from teleop.files import write_atomic

DOCUMENT: Final = "version.json"
"""A data set's version beside its episodes: its canonical bytes, whose SHA-256 is its digest."""
CROISSANT: Final = "croissant.json"
_VERIFIED: Final = "verified"
_VERSION: Final = msgspec.json.Decoder(DatasetVersion)


def fetch(
    hub: str,
    target: Path,
    words: Mapping[str, str],
    limit: int,
    signed: As | None = None,
    left_out: Callable[[str], None] = lambda _episode: None,
) -> Iterator[Got]:
    """Download the bundles of verified episodes that the words find below `target`, yielding what became of each.

    Private ones are asked for as `signed`; without it, they are left out, which `left_out` is told. What is there
    already, and whole, is left alone. Raises PlatformError if there is no hub, or if the words ask for episodes that
    are not verified, whose files are not everybody's.
    """
    if words.get("state", _VERIFIED) != _VERIFIED:
        raise PlatformError(
            f"--state {words['state']} cannot be downloaded: only the files of verified episodes are everybody's. "
            "Leave --state out."
        )
    with client_of(hub, signed) as client:
        config_of(client)
        yield from Downloads(client, target).run(_found(client, words, limit, None if signed else left_out))


def fetch_named(hub: str, target: Path, episodes: Sequence[str], signed: As | None = None) -> Iterator[Got]:
    """Download the bundles of these episodes below `target`, yielding what became of each.

    Raises PlatformError if there is no hub, or if one of them is not a verified episode of it.
    """
    with client_of(hub, signed) as client:
        config_of(client)
        wanted = [_named(client, one) for one in dict.fromkeys(episodes)]
        yield from Downloads(client, target).run(wanted)


def _named(client: httpx.Client, episode: str) -> Wanted:
    found = client.get(f"/api/episodes/{quote(episode, safe='')}").raise_for_status().json()
    if found["state"] != _VERIFIED:
        raise PlatformError(f"{episode} is {found['state']}: only verified episodes can be downloaded.")
    return _wanted(found)


def _found(
    client: httpx.Client, words: Mapping[str, str], limit: int, left_out: Callable[[str], None] | None
) -> Iterator[Wanted]:
    """Yield what is found; what is private is `left_out`, if that is to be told."""
    for page in pages(client, {**words, "state": _VERIFIED}, limit):
        for one in page["episodes"]:
            if left_out is not None and one.get("private", False):
                left_out(one["episode"])
            else:
                yield _wanted(one)


def _wanted(one: Mapping[str, Any]) -> Wanted:
    return Wanted(one["episode"], one["sha256"], one["size"], one.get("private", False))


@dataclass(frozen=True, slots=True)
class Release:
    """A version of a data set that is being downloaded."""

    version: DatasetVersion
    digest: str
    private: frozenset[str] = frozenset()
    """The episodes of it that are private."""

    @property
    def named(self) -> str:
        """Return how it is called, with its version."""
        return f"{self.version.name}@{self.version.version}"


def release(client: httpx.Client, name: str, target: Path, digest: str = "") -> Release:
    """Write a version's documents below `target`; return it. `name` is NS/NAME or NS/NAME@N.

    Raises PlatformError if the hub has no such version, if the version is not the one of `digest`, or if what the hub
    sends is not what its digest says.
    """
    said = client.get(_route(name)).raise_for_status().json()
    files = f"/api/sets/{said['name']}/versions/{said['version']}"
    data = client.get(f"{files}/document").raise_for_status().content
    found, wanted = hashlib.sha256(data).hexdigest(), digest or said["digest"]
    if found != wanted:
        raise PlatformError(
            f"{said['name']}@{said['version']} at this hub has the digest {found}, expected {wanted}. "
            + ("Another version has it, or another hub." if digest else "Tell whoever runs the hub.")
        )
    try:
        version = _VERSION.decode(data)
    except msgspec.DecodeError as error:
        raise PlatformError(f"The hub's {name} cannot be read ({error}). A newer armshare may read it.") from error
    target.mkdir(parents=True, exist_ok=True)
    write_atomic(target / CROISSANT, client.get(f"{files}/croissant.json").raise_for_status().content)
    write_atomic(target / DOCUMENT, data)
    return Release(version, found, _private_in(client, files) if said.get("private", False) else frozenset())


def _private_in(client: httpx.Client, files: str) -> frozenset[str]:
    """Return which episodes of a version are private."""
    found: set[str] = set()
    after: int | None = -1
    while after is not None:
        page = client.get(f"{files}/episodes", params={"limit": 200, "after": after}).raise_for_status().json()
        found |= {one["episode"] for one in page["episodes"] if one["private"]}
        after = page["next"]
    return frozenset(found)


def download(client: httpx.Client, found: Release, target: Path) -> Iterator[Got]:
    """Download a version's episodes below `target`, yielding what became of each."""
    every = found.version.episodes
    wanted = (Wanted(one.episode, one.sha256, one.size, one.episode in found.private) for one in every)
    return Downloads(client, target).run(wanted)


def released_lines(found: Release, target: Path, got: Sequence[Got]) -> Iterator[str]:
    """Say what came of a data set, what was repaired, and what is here of other versions."""
    yield f"{found.named}: {_counted(got)}, in {target}"
    yield f"Its digest is {found.digest}; cite it as {found.named}, sha256:{found.digest}."
    inside = {one.episode for one in found.version.episodes}
    others = sorted(path.parent.name for path in target.glob(f"*/{MANIFEST_FILE}") if path.parent.name not in inside)
    if others:
        yield f"{len(others)} episodes here are not in this version, such as {others[0]}: withdrawn, or of another one."


def _counted(got: Sequence[Got]) -> str:
    many = f"{len(got):,} episode{'' if len(got) == 1 else 's'}"
    each = {one: sum(1 for other in got if other.outcome is one) for one in Outcome}
    names = {Outcome.THERE: "there already", Outcome.REPAIRED: "repaired", Outcome.FAILED: "failed"}
    more = [f"{each[one]:,} {said}" for one, said in names.items() if each[one]]
    return many + (f" ({listed(more)})" if more else "")


def trouble_lines(got: Sequence[Got]) -> Iterator[str]:
    """Say what was repaired, and what failed, and why."""
    for one in got:
        if one.outcome is Outcome.REPAIRED:
            yield f"{one.episode} was repaired: {one.why}"
    failed = [one for one in got if one.outcome is Outcome.FAILED]
    for one in failed:
        yield f"{one.episode} could not be downloaded: {one.why}"
    if failed:
        yield "Type the same command again to go on: what is here and whole is not downloaded again."


def _route(name: str) -> str:
    named, _, number = name.partition("@")
    if named.count("/") != 1 or (number and not number.isdecimal()):
        raise PlatformError(f"A data set is called NAMESPACE/NAME, or NAMESPACE/NAME@N for one version; got {name!r}.")
    return f"/api/sets/{named}/versions/{number}" if number else f"/api/sets/{named}"


def nothing_line(hub: str, words: Mapping[str, str]) -> str:
    """Say that nothing was found, and what could be."""
    with client_of(hub) as client:
        there = there_are(client, {**words, "state": _VERIFIED})
    return f"no verified episodes found{for_words(words)}{there}"


def fetched_lines(hub: str, target: Path, got: Sequence[Got]) -> Iterator[str]:
    """Say what came, and what can be done with it that nobody would guess; nothing if nothing came."""
    if got:
        yield f"{_counted(got)}, in {target}"
        yield from usable_lines(hub, target, [target / one.episode for one in got if one.outcome is not Outcome.FAILED])


def usable_lines(hub: str, target: Path, folders: Sequence[Path]) -> Iterator[str]:
    """Say what can be done with episodes that have come."""
    if any((folder / SCORE_FILE).exists() for folder in folders):
        yield f"Each has a {SCORE_FILE} beside it, which nobody signs: `armshare verify --score` computes it again."
    told = {folder: _manifest(folder) for folder in folders}
    drawn = {folder: said for folder, said in told.items() if said is not None and said.robot.simulated}
    if not drawn:
        return
    one, said = next(iter(drawn.items()))
    alike = len({(other.robot.model, other.task.name) for other in drawn.values()}) == 1 and len(drawn) == len(folders)
    which = f"{shlex.quote(str(target))}/*" if alike else shlex.quote(str(one))
    yield (
        "Pictures of simulated robots are drawn from their states when you ask for them: order the same episodes from "
        f"another camera as often as you like{_cameras(said)}. For example:"
    )
    yield (
        f"    armshare export {which} --to from-front --format lerobot --action ee_delta --camera front "
        f"--size 320x240 --hub {shlex.quote(hub)}"
    )


def _manifest(folder: Path) -> Manifest | None:
    """Return what an episode's manifest says; None if it cannot be read, which is for `armshare verify` to say."""
    data = read_small(folder / MANIFEST_FILE)
    try:
        return None if data is None else manifests.decode(data)
    except ManifestError:
        return None


def _cameras(manifest: Manifest) -> str:
    """Say which cameras an episode's scene has; nothing if its robot or task is not known here."""
    from sim.pictures.render import scene_of  # here, so that other commands load no scenes

    try:
        scene = scene_of(manifest.robot.model, manifest.task.name, manifest.seed)
    except RobotError:
        return ""
    return f" (there are {listed(camera.name for camera in scene.cameras)})"
