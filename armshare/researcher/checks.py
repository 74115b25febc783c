"""`armshare verify` and `armshare replay`: what a folder of an episode holds, checked and recomputed, in words."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rich.markup import escape

from armshare.failures import PlatformError
from recorder.export.demonstrations import imported_in
from recorder.file.apart import reader
from recorder.file.episode import Episode, EpisodeError, FileMissingError
from recorder.file.meta import ImportMeta
from recorder.proof.bundle import (
    SCORE_FILE,
    TrustClass,
    read_bundle,
)
from recorder.proof.case import Trust
from recorder.proof.hubless import NO_HUB
from recorder.proof.manifest import EPISODE_FILE
from recorder.proof.named import HubKeysError, hub_keys, trust_in
from recorder.proof.refusals import GateError
from recorder.proof.unable import UnableError
from recorder.proof.verify import claimed_domain, verify
from rewards.score.kept import Standing, as_json, compare_score
from rewards.score.score import recompute
from sim.robot import RobotError

IMPORTED: Final = "Imported"
"""Why an episode that was imported cannot be checked: nobody signed it."""
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
    if read.manifest is None and (origin := imported_in(bundle)) is not None:
        return {**report, "unable": IMPORTED, "message": imported_words(origin)}
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


def imported_words(origin: ImportMeta) -> str:
    """Say of an imported episode what nobody vouches for."""
    come = f"imported from {origin.source} ({origin.format} {origin.format_version}, {origin.name})"
    return f"{IMPORTED}: it was {come}. It is unsigned: nobody vouches for it, so there is nothing to check."


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
