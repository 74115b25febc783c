"""`armshare import`: data sets of other formats as unsigned episodes, and what became of each, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from armshare.failures import PlatformError
from recorder.importing.apart import Outcome, Said, import_set, opened
from recorder.importing.errors import BrokenEpisodeError, ImportSetError
from recorder.importing.taken import digest_of
from rewards.score.versions import VERSIONS


def run(
    source: Path,
    target: Path,
    *,
    form: str,
    hz: float | None,
    pictures: bool,
    watch: Callable[[str, int, int | None], None],
) -> dict[str, Any]:
    """Import every episode that is not there yet; return what became of each. Raises PlatformError."""
    software = f"armshare {version('armshare')}"
    try:
        with opened(source, form, hz) as found:
            sha256 = digest_of(source, lambda done: watch("hashing", done, None))
            target.mkdir(parents=True, exist_ok=True)
            outcomes = []
            watch("importing", 0, found.count)
            for one in import_set(found, target, Said(sha256, software, VERSIONS, pictures)):
                outcomes.append(_said(one))
                watch("importing", len(outcomes), found.count)
    except (ImportSetError, BrokenEpisodeError) as error:
        raise PlatformError(str(error)) from error
    return {
        "source": str(source),
        "sha256": sha256,
        "format": found.format,
        "version": found.version,
        "to": str(target),
        "imported": sum(one["state"] == "imported" for one in outcomes),
        "there": sum(one["state"] == "there" for one in outcomes),
        "broken": sum(one["state"] == "broken" for one in outcomes),
        "episodes": outcomes,
    }


def lines(report: dict[str, Any]) -> Iterator[str]:
    """Say in words what was imported, and what was not."""
    yield from (f"broken: {one['error']}: {one['message']}" for one in report["episodes"] if one["state"] == "broken")
    counts = [f"{report['imported']} imported"]
    counts += [
        f"{report[name]} {words}" for name, words in (("there", "there already"), ("broken", "broken")) if report[name]
    ]
    of = f"{len(report['episodes'])} episodes of {report['format']} {report['version']}"
    yield f"{', '.join(counts)} of {of}, in {report['to']}"
    if report["imported"] or report["there"]:
        yield "They are unsigned, and say so: `armshare verify` calls them imported, and no hub takes them."


def _said(one: Outcome) -> dict[str, Any]:
    state = "broken" if one.error else "imported" if one.made else "there"
    said = {"index": one.index, "name": one.name, "episode": one.folder.name, "state": state}
    return said | ({"error": type(one.error).__name__, "message": str(one.error)} if one.error else {})
