"""What a worker process makes of an episode's file: its score, the checks of a first drive, and its start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rewards.people.qualification import Check, check, practice_of
from rewards.score.reviewed import reviewed_score_of
from rewards.score.score import score_of
from rewards.score.starts import Start, start_of
from rewards.score.verdict import Score


@dataclass(frozen=True, slots=True)
class Judged:
    """What there is to say of an episode by one version of the rules."""

    score: Score
    checks: tuple[Check, ...]
    """Of a first drive, by the episode's own rules; empty if it was scored by others."""
    start: Start
    reviewed: Score | None = None
    """What a real robot's episode is worth if people pass it; None for any other, and if it was scored by others."""


Judge = Callable[[Path, str | None], Judged]
"""Judges an episode's file by a version of the rules, or by its own; a worker process must be able to import it."""


def judge(episode_file: Path, version: str | None = None) -> Judged:
    """Judge an episode; raise EpisodeError if it is none, and UnknownRulesError if its rules are not here."""
    from recorder.file.episode import read_episode  # here, so that the hub's process need not load HDF5

    episode = read_episode(episode_file)
    checks = check(practice_of(episode)) if version is None else ()
    reviewed = reviewed_score_of(episode) if version is None else None
    return Judged(score_of(episode, version), checks, start_of(episode), reviewed)


def start_in(episode_file: Path) -> Start:
    """Return an episode's start; raise EpisodeError if it is no episode."""
    from recorder.file.episode import read_episode

    return start_of(read_episode(episode_file))
