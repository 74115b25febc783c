"""`armshare fetch`: verified episodes as folders, and what can be done with them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from armshare.client import client_of, config_of
from armshare.failures import PlatformError
from armshare.researcher.finding import for_words, pages, there_are
from recorder.proof import manifest as manifests
from recorder.proof.bundle import (
    BUNDLE_FILES,
    MANIFEST_FILE,
    SCORE_FILE,
    SMALL_FILE_BYTES_MAX,
    read_small,
)
from recorder.proof.manifest import Manifest, ManifestError
from sim.robot import RobotError
from sim.words import listed
from teleop.files import write_atomic

_VERIFIED: Final = "verified"


def fetch(hub: str, target: Path, words: Mapping[str, str], limit: int) -> Iterator[str]:
    """Download the bundles of verified episodes that the words find below `target`, yielding each id.

    What is there already is left alone. Raises PlatformError if there is no hub, or if the words ask for episodes that
    are not verified, whose files are not everybody's.
    """
    if words.get("state", _VERIFIED) != _VERIFIED:
        raise PlatformError(
            f"--state {words['state']} cannot be downloaded: only the files of verified episodes are everybody's. "
            "Leave --state out."
        )
    with client_of(hub) as client:
        config_of(client)
        for page in pages(client, {**words, "state": _VERIFIED}, limit):
            for one in page["episodes"]:
                _download(client, one["episode"], target)
                yield one["episode"]


def nothing_line(hub: str, words: Mapping[str, str]) -> str:
    """Say that nothing was found, and what could be."""
    with client_of(hub) as client:
        there = there_are(client, {**words, "state": _VERIFIED})
    return f"no verified episodes found{for_words(words)}{there}"


def fetched_lines(hub: str, target: Path, folders: Sequence[Path]) -> Iterator[str]:
    """Say what came, and what can be done with it that nobody would guess; nothing if nothing came."""
    if not folders:
        return
    yield f"{len(folders)} episode{'s' if len(folders) > 1 else ''}, in {target}"
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


def _download(client: httpx.Client, episode: str, target: Path) -> None:
    folder, part = target / episode, target / f".{episode}.part"
    if not folder.exists():
        part.mkdir(parents=True, exist_ok=True)
        for name in BUNDLE_FILES:
            _stream(client, episode, part / name)
        part.rename(folder)
    if not os.path.lexists(folder / SCORE_FILE):
        _download_score(client, episode, folder)


def _stream(client: httpx.Client, episode: str, target: Path) -> None:
    with _answer(client, episode, target.name) as answer, target.open("wb") as file:
        for block in answer.raise_for_status().iter_bytes():
            file.write(block)


def _download_score(client: httpx.Client, episode: str, folder: Path) -> None:
    """Write `score.json`, if the hub has a score for it by now and is not too old to give one out."""
    with _answer(client, episode, SCORE_FILE) as answer:
        if answer.status_code == httpx.codes.NOT_FOUND:
            return
        data = bytearray()
        for block in answer.raise_for_status().iter_bytes():
            data += block
            if len(data) > SMALL_FILE_BYTES_MAX:
                raise PlatformError(
                    f"The hub's {SCORE_FILE} of {episode} has more than {SMALL_FILE_BYTES_MAX:,} bytes, so it is none. "
                    "The episode is there, without it; tell whoever runs the hub."
                )
    write_atomic(folder / SCORE_FILE, bytes(data))


@contextmanager
def _answer(client: httpx.Client, episode: str, name: str) -> Iterator[httpx.Response]:
    """Ask for a file of a bundle; a refusal is read whole, so that its sentence can be told."""
    with client.stream("GET", f"/api/episodes/{episode}/files/{name}") as answer:
        if answer.is_error:
            answer.read()
        yield answer
