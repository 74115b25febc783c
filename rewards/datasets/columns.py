"""What an export says of each episode beside its file: its score and the parts of it, computed from the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recorder.export.errors import ExportError
from recorder.file.episode import Episode
from rewards.score.imported import imported_score_facts
from rewards.score.kept import as_json, compare_score
from rewards.score.score import facts_of, score


class ContradictedScoreError(ExportError):
    """A `score.json` beside an episode says something else than its file gives."""


def score_facts(bundle: Path, episode: Episode) -> dict[str, Any]:
    """Return an episode's score and its parts, as columns; raise ContradictedScoreError if `score.json` lies.

    The score always follows from the file: what lies beside it is signed by nobody. What it says by other rules than
    those here is not repeated.
    """
    if episode.meta.origin is not None:
        return imported_score_facts(episode)
    scored = score(facts_of(episode))
    beside = compare_score(bundle, scored)
    if beside.standing.wrong:
        raise ContradictedScoreError(beside.message)
    computed = as_json(scored)
    parts = {f"score_{name}": float(value) for name, value in computed["vector"].items()}
    return {"score": float(computed["score"]), "score_version": str(computed["version"]), **parts}
