"""What a real robot's episode is worth if people say that the task was done: rules of their own, and pure.

Nothing measures a real robot's world. So nothing here looks at what its host says of the task, of its things, or of
how far it had got; success is what people find, and the other parts are those of version 2, which need no simulation.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rewards.score.facts import EpisodeFacts, unsound
from rewards.score.metrics import measure
from rewards.score.score import advise, components, facts_of, weigh
from rewards.score.teaching.integrity import Refusal, refusals
from rewards.score.unjudged import segments_of, shown_of
from rewards.score.verdict import Score
from rewards.score.versions import REVIEWED, SECOND

if TYPE_CHECKING:
    from recorder.file.episode import Episode

UNMEASURABLE: Final = "unmeasurable"
NOT_FILMED: Final = "not_filmed"


def reviewed_score(facts: EpisodeFacts, *, filmed: bool) -> Score:
    """Return what an episode is worth if people pass it; `filmed`: whether there are pictures that they can look at.

    Never raises: what cannot be judged is not accepted, with the reason.
    """
    done = replace(facts, success=True, done_s=None)
    metrics = measure(done)
    vector = components(done, metrics)
    broken = unsound(done)
    refused = _refused(done, broken, filmed=filmed)
    advice = () if broken else advise(done, metrics, vector)
    return Score(
        version=REVIEWED,
        score_ppm=weigh(vector),
        accepted=not refused,
        vector=vector.as_dict(),
        reasons=(*(sentence for _, sentence in refused), *advice),
        shown={} if broken else shown_of(metrics),
        segments=() if broken else segments_of(done),
        refused=tuple(gate for gate, _ in refused),
    )


def _refused(facts: EpisodeFacts, broken: str | None, *, filmed: bool) -> tuple[tuple[str, str], ...]:
    if broken:
        return ((UNMEASURABLE, f"The recording cannot be scored: {broken}."),)
    found: tuple[Refusal, ...] = refusals(facts)
    said = tuple((one.gate.value, one.sentence) for one in found)
    dark = "No camera of this robot recorded, so nobody can see what it did: its owner has to set one up."
    return said if filmed else (*said, (NOT_FILMED, dark))


def reviewed_score_of(episode: Episode) -> Score | None:
    """Return what a recorded episode is worth if people pass it; None for a simulated robot's, which is computed."""
    if episode.meta.robot.simulated:
        return None
    return reviewed_score(facts_of(episode, SECOND), filmed=bool(episode.meta.recorded))


def recompute_reviewed(episode_file: Path) -> Score | None:
    """Return that score of an episode's file, from its bytes alone; raise EpisodeError if it is not an episode."""
    from recorder.file.episode import read_episode  # here, so that the rules themselves need no file format

    return reviewed_score_of(read_episode(episode_file))
