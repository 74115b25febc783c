"""`armshare score`: what an episode is worth under the rules, from its file alone, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.markup import escape

from armshare.failures import DoorError, words
from armshare.moments import Told, clock, legend, line_of_time, noticed, plain, shown_of, worst
from armshare.researcher import unsigned
from recorder.file.apart import ReaderLostError, reader
from recorder.file.episode import Episode, EpisodeError, FileMissingError
from recorder.file.meta import Meta
from recorder.proof.manifest import EPISODE_FILE
from rewards.score.score import facts_of, score
from rewards.score.verdict import ONE_PPM, Score
from rewards.score.versions import NEWEST, VERSIONS, UnknownRulesError, version_of
from sim.words import listed

PARTS: Final = {
    "success": "task done",
    "object_path": "like good drives",
    "order": "no mistakes",
    "pace": "pace",
    "flow": "no waiting",
    "control": "arm could follow",
    "path_efficiency": "direct path",
    "smoothness": "smooth motion",
    "idle": "few pauses",
    "tracking": "within limits",
}
_BAR: Final = 24


class NoSuchRulesError(DoorError):
    """There is no such version of the rules."""


def require_rules(version: str) -> str:
    """Return a version of the rules that this release has; raise NoSuchRulesError."""
    if version not in VERSIONS:
        said = f"{plain(version)!r} is no version of the rules that this release has: choose {listed(VERSIONS, 'or')}"
        raise NoSuchRulesError(f"{said}, or leave out --rules to use the episode's own. A newer release may have it.")
    return version


def read(path: Path) -> Episode:
    """Return the recording in a file, or in a bundle's folder; raise an EpisodeError that says what it is instead."""
    file = path / EPISODE_FILE if path.is_dir() else path
    try:
        return reader().read(file, imported=True)
    except FileMissingError:
        raise  # its message says what an episode is
    except EpisodeError as error:
        said = f"{path} cannot be scored: {error}"
        raise type(error)(f"{said}. Name an episode's folder, or its {EPISODE_FILE}.") from error


def report_or_why_not(path: Path, rules: str = "") -> dict[str, Any]:
    """Return `report`, or in `unable` and `message` what kept this one episode from being scored here."""
    try:
        return report(path, rules)
    except (EpisodeError, ReaderLostError, UnknownRulesError, OSError) as error:
        said = words(error) if not isinstance(error, OSError) else error.strerror or str(error)
        message = said if str(path) in said else f"{path} cannot be scored: {said}."
        return {"file": str(path), "unable": type(error).__name__, "message": plain(message)}


def report(path: Path, rules: str = "") -> dict[str, Any]:
    """Score one episode by a version of the rules, by default the one that pays for it; return all that they say."""
    episode = read(path)
    if episode.meta.origin is not None:
        return unsigned.report(path, episode, rules)
    found = score(facts_of(episode, rules or version_of(episode.meta)))
    return as_report(path, episode, found) | {"pays": not rules or found.version == _paying(episode.meta)}


def as_report(path: Path, episode: Episode, found: Score) -> dict[str, Any]:
    """Return all that a score says."""
    costs = [Told(one.part, one.ppm / ONE_PPM, one.sentence, one.from_s, one.until_s) for one in found.costs]
    return {
        "file": str(path),
        "unable": None,
        "episode": episode.meta.episode,
        "task": episode.meta.task.name,
        "version": found.version,
        "score": found.score_ppm / ONE_PPM,
        "score_ppm": found.score_ppm,
        "accepted": found.accepted,
        "vector": dict(found.vector),
        "reasons": list(found.reasons),
        "refused": list(found.refused),
        "costs": [asdict(one) for one in costs],
        "shown": dict(found.shown),
        "segments": [{"kind": str(one.kind), "from_s": one.from_s, "until_s": one.until_s} for one in found.segments],
    }


def _paying(meta: Meta) -> str | None:
    """Return the version that pays for an episode; None if only a newer release has it."""
    try:
        return version_of(meta)
    except ValueError:
        return None


def lines(found: dict[str, Any], *, explain: bool) -> Iterator[str]:
    """Say a report in words, and with `explain` what cost what and when."""
    if "imported" in found:
        yield from unsigned.lines(found)
    if found["score"] is None:
        yield from (f"  {bar(name, part)}" for name, part in found["vector"].items())
        return
    state = "[green]accepted[/green]" if found["accepted"] else "[red]not accepted[/red]"
    yield f"{state}  {found['episode']}  {100 * found['score']:.1f} of 100, by version {found['version']} of the rules"
    if "imported" in found:
        yield "  Nobody pays for it: nobody signed it, and it rests on what the source says."
    elif not found["pays"]:
        yield "  Another version of the rules pays for it: leave out --rules to see what that says."
    yield from (f"  {bar(name, part)}" for name, part in found["vector"].items())
    costs = [Told(**one) for one in found["costs"]]
    said = {one.sentence for one in costs}
    yield from (f"  {escape(plain(reason))}" for reason in found["reasons"] if reason not in said)
    if found["refused"]:
        yield f"  [dim]refused by {', '.join(found['refused'])}[/dim]"
    if explain:
        yield from _explained(found, costs)
    elif costs:
        yield f"  {worst(costs[0])}"
        yield "  --explain says what else cost what, and when."


def bar(name: str, part: float) -> str:
    """Return a part in [0, 1] as a bar, in words and in a number."""
    full = round(_BAR * min(max(part, 0.0), 1.0))
    return f"{PARTS.get(name, escape(plain(name))):<20} {'█' * full}{'░' * (_BAR - full)} {100 * part:3.0f}"


def _explained(found: dict[str, Any], costs: list[Told]) -> Iterator[str]:
    if not (costs or found["segments"] or found["shown"]):
        yield f"  Version {found['version']} of the rules tells no moments of it; all that it says stands above."
        if found["version"] != NEWEST:
            yield f"  Add --rules {NEWEST} to see what cost what, and when, by the newest rules."
        return
    yield ""
    yield (
        "  What cost what, of 100, and how to drive better:" if costs else "  Nothing in how it was driven cost pay."
    )
    for one in costs:
        yield f"  [bold]{-100 * one.points:5.1f}[/bold]  {one.moment}  [dim]{PARTS.get(one.part, one.part)}[/dim]"
        yield f"         {escape(plain(one.sentence))}"
    yield from _timed(found)
    if found["shown"]:
        yield ""
        yield f"  For you, not paid by: {'; '.join(shown_of(found['shown']))}"


def _timed(found: dict[str, Any]) -> Iterator[str]:
    segments = noticed(found["segments"])
    length_s = max([found["shown"].get("duration_s", 0.0), *(one["until_s"] for one in segments)])
    if not segments:
        return
    yield ""
    yield f"  0:00 {line_of_time(segments, length_s)} {clock(length_s)}"
    yield from (f"       {one}" for one in legend(segments))
