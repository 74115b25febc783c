"""A score beside its episode: `score.json`, which nobody signs, and which anyone can compute again from the file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from recorder.proof.bundle import SCORE_FILE, read_small
from recorder.proof.manifest import EPISODE_FILE
from rewards.score.score import recompute
from rewards.score.verdict import ONE_PPM, Cost, Score
from rewards.score.versions import VERSIONS
from teleop.files import write_atomic

_WORDS: Final = frozenset({"reasons"})
"""What is said for people, whose wording may change within a version."""
_SINCE_VERSION_3: Final = frozenset({"refused", "costs", "shown", "segments"})
"""Earlier releases wrote none of these; one that leaves them out says nothing of them."""
_NEAR: Final = 1e-6
"""What is shown and not paid by is not rounded, so the last digits of a processor's arithmetic reach it."""


class ScoreFileError(Exception):
    """`score.json` is there, and is no score."""


class Standing(StrEnum):
    """How a `score.json` stands to the file that it lies beside."""

    ABSENT = "absent"
    AGREES = "agrees"
    DIFFERS = "differs"
    UNKNOWN_RULES = "unknown_rules"
    """It is by rules that this release does not have, so it can be neither confirmed nor contradicted."""
    UNREADABLE = "unreadable"

    @property
    def wrong(self) -> bool:
        """Whether the file must not stay as it is."""
        return self in (Standing.DIFFERS, Standing.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of comparing it, and a sentence for people."""

    standing: Standing
    message: str


def as_json(scored: Score) -> dict[str, Any]:
    """Return a score as it is published: by which rules, the score and its parts in [0, 1], what cost what and when."""
    return {
        "version": scored.version,
        "score": scored.score_ppm / ONE_PPM,
        "accepted": scored.accepted,
        "vector": dict(scored.vector),
        "reasons": list(scored.reasons),
        "refused": list(scored.refused),
        "costs": [_cost(one) for one in scored.costs],
        "shown": dict(scored.shown),
        "segments": [{"kind": one.kind.value, "from_s": one.from_s, "until_s": one.until_s} for one in scored.segments],
    }


def _cost(cost: Cost) -> dict[str, Any]:
    said = {"part": cost.part, "points": cost.ppm / ONE_PPM, "sentence": cost.sentence}
    return {**said, "from_s": cost.from_s, "until_s": cost.until_s}


def encoded(scored: Score) -> bytes:
    """Return the bytes of `score.json`."""
    return json.dumps(as_json(scored)).encode()


def keep_score(bundle: Path) -> None:
    """Write the score of the episode in a bundle's folder beside it; raise EpisodeError if there is none."""
    write_atomic(bundle / SCORE_FILE, encoded(recompute(bundle / EPISODE_FILE)))


def read_score(bundle: Path) -> dict[str, Any] | None:
    """Return what `score.json` says, which may be a lie; None if there is none. Raises ScoreFileError."""
    file = bundle / SCORE_FILE
    data = read_small(file)
    if data is None:
        if os.path.lexists(file):
            raise ScoreFileError(f"{file} is too long, or no regular file. Remove it.")
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ScoreFileError(f"{file} cannot be read: {error}. Remove it.") from error
    if not isinstance(found, dict) or not {"version", "score"} <= found.keys():
        raise ScoreFileError(f"{file} cannot be read: it is no object with a version and a score. Remove it.")
    return found


def compare_score(bundle: Path, computed: Score) -> Compared:
    """Compare what `score.json` says with what the episode's file gives; `computed` is by the rules that pay.

    Never raises for what the file holds.
    """
    try:
        said = read_score(bundle)
    except ScoreFileError as error:
        return Compared(Standing.UNREADABLE, str(error))
    if said is None:
        return Compared(Standing.ABSENT, "")
    version = said["version"]
    if version not in VERSIONS:
        what = f"{SCORE_FILE} is by rules {version!r}, which this release does not have, so it says nothing here"
        return Compared(Standing.UNKNOWN_RULES, f"{what}. The score above is computed.")
    by_its_rules = computed if version == computed.version else recompute(bundle / EPISODE_FILE, version)
    return _held_against(bundle, said, as_json(by_its_rules))


def _held_against(bundle: Path, said: Mapping[str, Any], gives: Mapping[str, Any]) -> Compared:
    left_out = _SINCE_VERSION_3 - said.keys()
    told = [name for name in {**gives, **said} if name not in _WORDS | left_out]
    wrong = [name for name in told if not _agree(name, said.get(name), gives.get(name))]
    if not wrong:
        agrees = f"{SCORE_FILE} says the same. Nobody signs it: this is computed from the file that is signed."
        return Compared(Standing.AGREES, agrees)
    both = "; ".join(f"{name} {said.get(name)!r:.60}, and the file gives {gives.get(name)!r:.60}" for name in wrong[:3])
    return Compared(Standing.DIFFERS, f"{bundle / SCORE_FILE} says {both}. Nobody signs that file: remove it.")


def _agree(name: str, said: object, gives: object) -> bool:
    """Whether what is said, which may be anything, is what the file gives under that name."""
    if name == "costs":
        return _wordless(said) == _wordless(gives)
    if name == "shown" and isinstance(said, dict) and isinstance(gives, dict):
        return said.keys() == gives.keys() and all(_near(said[one], gives[one]) for one in gives)
    return said == gives


def _wordless(costs: object) -> object:
    """Return costs without their sentences, whose wording may change within a version."""
    if not isinstance(costs, list):
        return costs
    return [{**one, "sentence": ""} if isinstance(one, dict) else one for one in costs]


def _near(said: object, gives: object) -> bool:
    if not (isinstance(said, float) and isinstance(gives, float)):
        return False
    return abs(said - gives) <= _NEAR * max(1.0, abs(gives))
