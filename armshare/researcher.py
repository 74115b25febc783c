"""What a researcher does from the command line: download, verify, recompute."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from rich.markup import escape

from armshare.client import client_of, config_of
from armshare.failures import PlatformError
from recorder.file.apart import reader
from recorder.file.episode import Episode, EpisodeError, FileMissingError
from recorder.proof import manifest as manifests
from recorder.proof.bundle import (
    BUNDLE_FILES,
    MANIFEST_FILE,
    SCORE_FILE,
    SMALL_FILE_BYTES_MAX,
    TrustClass,
    read_bundle,
    read_small,
)
from recorder.proof.case import Trust
from recorder.proof.hubless import NO_HUB
from recorder.proof.manifest import EPISODE_FILE, Manifest, ManifestError
from recorder.proof.named import HubKeysError, hub_keys, trust_in
from recorder.proof.refusals import GateError
from recorder.proof.unable import UnableError
from recorder.proof.verify import claimed_domain, verify
from rewards.score.kept import Standing, as_json, compare_score
from rewards.score.score import recompute
from sim.robot import RobotError
from sim.words import listed
from teleop.files import write_atomic
from teleop.identity import SignatureError, require_address

_PAGE = 200
_TRUST = {
    TrustClass.REPLAYED: "the hub signed that it has reproduced this simulation to the last bit",
    TrustClass.WITNESSED: "the hub signed that this is a real robot's, and its host's word",
}


def pins(file: Path) -> dict[str, Any]:
    """Return a saved `/api/config`; raise PlatformError if the file is not one."""
    try:
        return hub_keys(file)
    except HubKeysError as error:
        raise PlatformError(str(error)) from error


def episode_in(folder: Path) -> Episode:
    """Return the recording in a bundle's folder; raise an EpisodeError, which names the folder."""
    try:
        return reader().read(folder / EPISODE_FILE)
    except FileMissingError:
        raise  # its message names the folder already
    except EpisodeError as error:
        raise type(error)(f"{folder}: {error}") from error


def check(bundle: Path, config: dict[str, Any] | None, *, replay: bool, score: bool) -> dict[str, Any]:
    """Verify one bundle and return a report; without `config` the domain is the bundle's own claim."""
    from recorder.proof.replayed import replayed  # here, so that a check without it loads no physics

    read = read_bundle(bundle)
    report: dict[str, Any] = {"bundle": str(bundle), "pinned": config is not None, "refused": None, "unable": None}
    try:
        trust = trust_in(config) if config else Trust(claimed_domain(read))
        trust = replace(trust, replay=replayed if replay else None)
        found = verify(read, trust)
    except GateError as error:
        return {**report, "refused": type(error).__name__, "message": str(error)}
    except UnableError as error:
        return {**report, "unable": error.reason, "message": str(error)}
    report |= {"episode": found.episode, "digest": found.digest, "content_root": found.content_root}
    report |= {"passed": list(found.passed), "skipped": list(found.skipped), "trust": found.trust}
    report["hubless"] = trust.domain == NO_HUB
    if score:
        computed = recompute(bundle / EPISODE_FILE)
        beside = compare_score(bundle, computed)
        report["score"] = as_json(computed)
        report["score_file"] = {"standing": beside.standing, "message": beside.message}
    elif os.path.lexists(bundle / SCORE_FILE):
        unsigned = f"{SCORE_FILE} beside it was not compared: nobody signs it, and --score computes it again"
        report["score_file"] = {"standing": "not_compared", "message": unsigned}
    return report


def refused(report: dict[str, Any]) -> bool:
    """Whether a report says that something is wrong: a gate refused the bundle, or its `score.json` lies."""
    return bool(report["refused"]) or _score_file(report) in (Standing.DIFFERS, Standing.UNREADABLE)


def _score_file(report: dict[str, Any]) -> str:
    return str(report.get("score_file", {}).get("standing", ""))


def lines(report: dict[str, Any]) -> Iterator[str]:
    """Say a report in words."""
    if report["refused"]:
        yield f"[red]refused[/red]  {report['bundle']}  [bold]{report['refused']}[/bold]: {escape(report['message'])}"
        return
    if report["unable"]:
        yield f"[yellow]unable[/yellow]   {report['bundle']}  cannot be checked here, so nothing is said against it:"
        yield f"         {report['message']}"
        return
    yield f"[green]verified[/green] {report['episode']}  digest {report['digest']}"
    yield f"         passed {', '.join(report['passed'])}"
    if report["trust"]:
        yield f"         {report['trust']}: {_TRUST[report['trust']]}"
    if report["skipped"]:
        yield f"         not checked: {', '.join(report['skipped'])}"
    if report["hubless"]:
        yield "         no hub asked for it, and none gave a receipt: whoever made it chose its seed and made its keys"
    elif not report["pinned"]:
        yield "         the chain and vault are the bundle's own claim; --pins or --hub says whose receipt to trust"
    if "score" in report:
        score = report["score"]
        yield f"         score {score['score']:.6f} (rules {score['version']}), accepted: {score['accepted']}"
        yield from (f"           {reason}" for reason in score["reasons"])
    beside = report.get("score_file")
    if beside and beside["message"]:
        mark = f"[red]{beside['standing']}[/red]  " if refused(report) else "         "
        yield f"{mark}{escape(beside['message'])}"


def replay(bundle: Path) -> dict[str, Any]:
    """Re-simulate one episode and return a report; raise EpisodeError if there is none.

    `error` is None, ReplayMismatchError if a state differs, or the name of what keeps it from being replayed here.
    """
    from recorder.proof.replayed import replayed, warm  # here, so that other checks load no physics

    episode = episode_in(bundle)
    warm()
    start = time.perf_counter()
    report: dict[str, Any] = {"bundle": str(bundle), "episode": episode.meta.episode, "states": episode.steps + 1}
    try:
        replayed(episode)
    except RobotError as error:
        return {**report, "identical": False, "error": type(error).__name__, "message": str(error)}
    factor = episode.steps / episode.meta.spec.control_hz / (time.perf_counter() - start)
    return {**report, "identical": True, "error": None, "realtime_factor": round(factor, 1)}


def replay_line(report: dict[str, Any]) -> str:
    """Say a replay's report in words."""
    if report["identical"]:
        return (
            f"[green]identical[/green] {report['episode']}  {report['states']} states, "
            f"{report['realtime_factor']:.0f}x real time"
        )
    if differs(report):
        return f"[red]differs[/red]   {report['episode']}  {escape(report['message'])}"
    return f"[red]unable[/red]    {report['episode']}  {escape(report['message'])}"


def differs(report: dict[str, Any]) -> bool:
    """Whether an episode was replayed here and differs from what its seed and actions give."""
    return report["error"] in ("ReplayMismatchError", "ActionShapeError", "UnstableWorldError")


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
