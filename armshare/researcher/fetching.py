"""`armshare fetch`: verified episodes as folders, and what can be done with them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from armshare.client import client_of, config_of
from armshare.failures import PlatformError
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
from teleop.identity import SignatureError, require_address

_PAGE = 200


def fetch(hub: str, target: Path, *, task: str, operator: str, limit: int) -> Iterator[str]:
    """Download verified episodes' bundles below `target`, yielding each id; what is there already is left alone.

    Raises PlatformError if `operator` is not an address, or if there is no hub.
    """
    if operator:
        try:
            require_address(operator)
        except SignatureError as error:
            what = "0x and 40 hex digits, in the capitals that the page shows"
            raise PlatformError(f"--operator {operator!r} is not a wallet's address: {what}.") from error
    wanted = {"state": "verified", "limit": str(_PAGE), "task": task, "operator": operator}
    with client_of(hub) as client:
        config_of(client)
        after, left = "", limit
        while left > 0:
            query = {name: value for name, value in {**wanted, "after": after}.items() if value}
            page = client.get("/api/episodes", params=query).raise_for_status().json()
            for one in page["episodes"][:left]:
                _download(client, one["episode"], target)
                yield one["episode"]
            left -= len(page["episodes"])
            after = page["next"]
            if not after:
                return


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
