"""A score beside its episode: `score.json`, which anyone can compute again from the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recorder.proof.bundle import SCORE_FILE
from recorder.proof.manifest import EPISODE_FILE
from rewards.score.score import recompute
from rewards.score.verdict import ONE_PPM, Score
from teleop.files import write_atomic


def as_json(scored: Score) -> dict[str, Any]:
    """Return a score as it is published: the version of its rules, the score and its parts in [0, 1], the reasons."""
    return {
        "version": scored.version,
        "score": scored.score_ppm / ONE_PPM,
        "accepted": scored.accepted,
        "vector": dict(scored.vector),
        "reasons": list(scored.reasons),
    }


def keep_score(bundle: Path) -> None:
    """Write the score of the episode in a bundle's folder beside it; raise EpisodeError if there is none."""
    said = json.dumps(as_json(recompute(bundle / EPISODE_FILE)))
    write_atomic(bundle / SCORE_FILE, said.encode())
