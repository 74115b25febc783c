"""Versions of the rules that no release has, for those who test what becomes of later ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recorder.file.episode import read_episode
from rewards.hub.judging import Judged, judge
from rewards.score.verdict import Cost, Score, Segment, SegmentKind
from rewards.score.versions import SECOND, VERSIONS, require_known

SHOWN = {"smoothness": -2.5, "recoveries": 1.0}
SEGMENTS = (Segment(SegmentKind.IDLE, 0.5, 1.25), Segment(SegmentKind.RECOVERY, 2.0, 2.5))
COSTS = (Cost("flow", 150_000, "You paused for 0.8 s: go on at once.", 0.5, 1.25), Cost("order", 50_000, "It fell."))


@dataclass
class OtherRules:
    """Rules that give every episode what a test says, beside the real ones: version -> ppm, None for not accepted."""

    gives: Mapping[str, int | None]
    calls: list[tuple[str, str | None]] = field(default_factory=list)
    """The episodes that were judged, each with the version that was asked for."""

    @property
    def options(self) -> dict[str, Any]:
        """What a pipeline needs to know of them."""
        return {"judge": self, "versions": (*VERSIONS, *self.gives)}

    def __call__(self, file: Path, version: str | None = None) -> Judged:
        """Judge an episode."""
        self.calls.append((file.parent.name, version))
        if version is None:
            rules = read_episode(file).meta.rules
            version = rules if rules in self.gives else None
        if version is None or version in VERSIONS:
            return judge(file, version)
        require_known(version, self.gives)
        judged, ppm = judge(file, SECOND), self.gives[version]
        reasons = () if ppm is not None else ("It taught nothing.",)
        refused = () if ppm is not None else ("not_done", "too_short")
        said = Score(version, ppm or 0, ppm is not None, {"flow": 0.85}, reasons, COSTS, SHOWN, SEGMENTS, refused)
        return replace(judged, score=said)
