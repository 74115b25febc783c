"""What the rewards have done by workers: an episode scored, and read for a card."""

from __future__ import annotations

from typing import Final

import msgspec

from recorder.file.episode import EpisodeError
from recorder.hub.store import StoredFile
from recorder.hub.work.kinds import OF_THE_WORKER
from recorder.hub.work.named import Files, Kind, Named, NamedFile, Told, file_named
from rewards.datasets.facts import Facts
from rewards.hub.datasets.cards import facts_in_file
from rewards.hub.judging import Judge, Judged, judge
from rewards.hub.scoring import judged_in
from rewards.score.versions import UnknownRulesError


class JudgeAsked(msgspec.Struct, frozen=True):
    """A recording, and by which version of the rules it is judged; None: by its own."""

    file: NamedFile
    version: str | None


class FactsAsked(msgspec.Struct, frozen=True):
    """A recording that is read for a card, and whether its simulated cameras are drawn for that."""

    file: NamedFile
    draw: bool = False


def _say_facts(file: StoredFile, draw: bool = False) -> FactsAsked | None:
    named = file_named(file)
    return None if named is None else FactsAsked(named, draw)


def _say_judge(by: Judge, file: StoredFile, version: str | None) -> JudgeAsked | None:
    named = file_named(file)
    return None if named is None or by is not judge else JudgeAsked(named, version)


def _judge(asked: JudgeAsked, files: Files, _told: Told) -> Judged:
    return judged_in(judge, files.file(asked.file), asked.version)


CALLS: Final = (
    Named(
        name="judge",
        kind=Kind.SCORE,
        call=judged_in,
        say=_say_judge,
        asked=JudgeAsked,
        do=_judge,
        gives=Judged,
        raises=(EpisodeError, UnknownRulesError, *OF_THE_WORKER),
    ),
    Named(
        name="facts",
        kind=Kind.SCORE,
        call=facts_in_file,
        say=_say_facts,
        asked=FactsAsked,
        do=lambda asked, files, _told: facts_in_file(files.file(asked.file), asked.draw),
        gives=Facts,
        raises=(EpisodeError, *OF_THE_WORKER),
    ),
)
