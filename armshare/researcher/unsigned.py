"""What can be scored of an imported episode: all of it if its arrays are ours, else what its source says.

Nothing that the source does not say is measured: the parts that would need it are left out, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import msgspec

from armshare.moments import Told, plain
from recorder.file.episode import Episode
from recorder.file.meta import ImportMeta
from rewards.score.imported import scored
from rewards.score.teaching.rules import WEIGHTS_PERCENT
from rewards.score.verdict import ONE_PPM
from rewards.score.versions import NEWEST


def report(path: Path, episode: Episode, rules: str = "") -> dict[str, Any]:
    """Score an imported episode as far as it says enough; `left_out` names the other parts, with the reason."""
    found, why = scored(episode, rules)
    success = episode.end.success
    known = {} if success is None else {"success": float(success)}
    vector = dict(found.vector) if found else known
    parts = () if found else tuple(one for one in ("success", *WEIGHTS_PERCENT) if one not in vector)
    costs = (
        [Told(one.part, one.ppm / ONE_PPM, one.sentence, one.from_s, one.until_s) for one in found.costs]
        if found
        else []
    )
    segments = found.segments if found else ()
    return {
        "file": str(path),
        "unable": None,
        "imported": _come(episode.meta.origin),
        "left_out": dict.fromkeys(parts, why),
        "episode": episode.meta.episode,
        "task": episode.meta.task.name,
        "version": found.version if found else rules or NEWEST,
        "pays": False,
        "score": found.score_ppm / ONE_PPM if found else None,
        "score_ppm": found.score_ppm if found else None,
        "accepted": bool(found and found.accepted),
        "vector": vector,
        "reasons": list(found.reasons) if found else [],
        "refused": list(found.refused) if found else [],
        "costs": [asdict(one) for one in costs],
        "shown": dict(found.shown) if found else {},
        "segments": [{"kind": str(one.kind), "from_s": one.from_s, "until_s": one.until_s} for one in segments],
    }


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Say where it comes from, and what is left out."""
    come = found["imported"]
    yield f"[yellow]imported, unsigned[/yellow]  {found['episode']}"
    yield f"  from {_escaped(come['source'])}, {_escaped(come['name'])}; times are {_TIMES[come['times']]}"
    if left := found["left_out"]:
        yield f"  not scored: {', '.join(left)}, because {_escaped(next(iter(left.values())))}"


_TIMES: Final = {
    "clock": "those of a clock",
    "timestamps": "the source's timestamps",
    "rate": "nominal: nobody measured them",
}


def _escaped(text: str) -> str:
    return plain(text).replace("[", "\\[")


def _come(origin: ImportMeta | None) -> dict[str, Any]:
    if origin is None:
        return {}
    keys = ("source", "sha256", "format", "format_version", "index", "name", "software", "imported_ms", "times")
    said = msgspec.to_builtins(origin)
    return {key: said[key] for key in keys}
