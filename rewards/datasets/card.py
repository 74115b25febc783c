"""A version's card: what is in it, counted from its episodes' files and scores. Pure; anyone can make it again.

Episodes are added one after the other, in the version's order, and none is kept: memory is bounded by how many
operators, robots and arrays there are. Quantiles are the weighted means of the episodes' own, as LeRobot's are.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import msgspec

from recorder.file.meta import canonical
from rewards.datasets import drawn
from rewards.datasets.facts import Facts, Numbers
from rewards.datasets.lengths import Lengths, LengthTally
from rewards.datasets.version import DatasetVersion, Member

FORMAT: Final = "armshare.card/1"
BINS: Final = 20
"""Of a score's histogram: each is a twentieth."""
LISTED_MAX: Final = 200
"""How many operators, robots, drivers, tasks ... are listed, those of the most episodes; the others are counted."""
POINTS_MAX: Final = 1000
"""Of how many episodes the start is shown, for each task and model: those with the lowest hashes."""
UNREAD_MAX: Final = 20
_PPM: Final = 1_000_000
FAULTS: Final[Mapping[str, str]] = {
    "limited": "a limit of safety changed what was commanded",
    "late": "a step took more than one and a half control periods",
    "nobody_drove": "nobody drove",
    "not_finite": "an array has a value that is no number",
    "marked_pictures": "a picture is frozen, dark or otherwise marked",
    "camera_troubles": "a camera had trouble",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What is said of an episode beside its file."""

    rules: str | None
    """The version of the rules that gave the score; None, as the score, if it has none."""
    score_ppm: int | None
    trust: str | None
    practice: bool | None
    """None if nobody says."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many episodes have a value."""

    name: str
    episodes: int


@dataclass(frozen=True, slots=True)
class Listed:
    """Values with how many episodes each has, those of the most first, and how many others there are."""

    first: list[Counted]
    others: int


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores by one version of the rules."""

    rules: str
    episodes: int
    mean: float
    counts: list[int]
    """Of 20 bins over [0, 1]."""


@dataclass(frozen=True, slots=True)
class Robot:
    """A robot."""

    robot: str
    model: str
    simulated: bool
    episodes: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """A camera that recorded, of every robot with this model."""

    model: str
    name: str
    codec: str
    width: int
    height: int
    episodes: int
    pictures: int
    numbers: Numbers | None
    """Of each colour, in [0, 1], or of depth, in mm."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is known to be wrong."""

    name: str
    sentence: str
    episodes: int
    count: int
    """In how many steps, or of how many pictures."""


@dataclass(frozen=True, slots=True)
class Array:
    """The statistics of an array of all robots with one model."""

    model: str
    name: str
    """Its path in the files."""
    unit: str
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Starts:
    """Where things stood as episodes of a task began, in the robot's base frame."""

    task: str
    model: str
    episodes: int
    lower_m: list[float]
    """The least x, y of each thing, one after the other."""
    upper_m: list[float]
    points_m: list[list[float]]
    """x, y of each thing, of at most 1000 episodes."""


@dataclass(frozen=True, slots=True)
class Card:
    """All that a card says; `recorder.file.meta.canonical` gives its bytes."""

    format: str
    name: str
    version: int
    digest: str
    """Of the version's document."""
    episodes: int
    splits: dict[str, int]
    bytes: int
    steps: int
    duration_s: float
    success: dict[str, int]
    """`true`, `false`, and `unknown` if the robot cannot know."""
    success_rate: float | None
    """Of those that know; None if none does."""
    scores: list[Scores]
    """By each version of the rules that gave some."""
    unscored: int
    trust: dict[str, int]
    """`replayed`, `witnessed`, and `unsaid` if an earlier release verified it."""
    practice: int
    tasks: Listed
    """Each with its version."""
    operators: Listed
    drivers: Listed
    engines: Listed
    models: Listed
    robots: list[Robot]
    """At most 200, those of the most episodes."""
    cameras: list[Recorded]
    faults: list[Fault]
    lengths: Lengths
    starts: list[Starts]
    arrays: list[Array]
    unread: list[str]
    """Episodes whose files could not be read, at most 20: all but the counts of scores and splits leaves them out."""
    drawn: list[Recorded] = field(default_factory=list)
    """What the cameras of simulations see, from a few pictures of a few episodes; earlier releases had none."""


CARD: Final = msgspec.json.Decoder(Card)
_QUANTILES: Final = ("q01", "q10", "q50", "q90", "q99")


class _Together:
    """Statistics of all from those of each, one after the other (Chan, Golub and LeVeque 1979)."""

    def __init__(self) -> None:
        self.count = 0
        self._values: dict[str, list[float]] = {}

    def add(self, one: Numbers) -> None:
        """Add an episode's; one of another width than the others' is left out."""
        given = {field.name: getattr(one, field.name) for field in fields(Numbers) if field.name != "count"}
        if not self.count:
            self._values, self.count = given, one.count
            return
        if len(one.mean) != len(self._values["mean"]):
            return
        before, self.count = self.count, self.count + one.count
        share, old = one.count / self.count, self._values
        apart = [theirs - ours for ours, theirs in zip(old["mean"], one.mean, strict=True)]
        squares = zip(old["std"], one.std, apart, strict=True)
        self._values = {
            "min": list(map(min, old["min"], one.min)),
            "max": list(map(max, old["max"], one.max)),
            "mean": [ours + share * away for ours, away in zip(old["mean"], apart, strict=True)],
            "std": [
                math.sqrt(ours**2 * (1 - share) + theirs**2 * share + away**2 * share * (before / self.count))
                for ours, theirs, away in squares
            ],
            **{
                name: [ours + share * (theirs - ours) for ours, theirs in zip(old[name], given[name], strict=True)]
                for name in _QUANTILES
            },
        }

    def numbers(self) -> Numbers:
        """Return them."""
        return Numbers(self.count, **self._values)


class _Where:
    """Where things stood, of one task and model."""

    def __init__(self) -> None:
        self.episodes = 0
        self.lower_m: list[float] = []
        self.upper_m: list[float] = []
        self._lowest: list[tuple[int, str, list[float]]] = []

    def add(self, episode: str, starts_m: list[float]) -> None:
        """Add an episode; one with other things than the first is left out."""
        if self.episodes and len(starts_m) != len(self.lower_m):
            return
        self.episodes += 1
        self.lower_m = list(map(min, self.lower_m or starts_m, starts_m))
        self.upper_m = list(map(max, self.upper_m or starts_m, starts_m))
        rank = int.from_bytes(hashlib.sha256(episode.encode()).digest()[:8])
        (heapq.heappush if len(self._lowest) < POINTS_MAX else heapq.heappushpop)(
            self._lowest, (-rank, episode, starts_m)
        )

    @property
    def points_m(self) -> list[list[float]]:
        """Those with the lowest hashes, in their order."""
        return [starts_m for _, _, starts_m in sorted(self._lowest, reverse=True)]


class Tally:
    """Makes a card of episodes that are added in the version's order."""

    def __init__(self, head: DatasetVersion, digest: str, drawn_of: frozenset[str] = frozenset()) -> None:
        """`head`: the version, whose members need not be there. `drawn_of`: whose drawn pictures are counted."""
        self._head, self._digest, self._drawn_of = head, digest, drawn_of
        self._drawn: dict[tuple[str, str], tuple[Counter[str], _Together]] = {}
        self._counts: dict[str, Counter[str]] = {
            name: Counter()
            for name in ("split", "success", "trust", "task", "operator", "driver", "engine", "model", "fault")
        }
        self._faults: Counter[str] = Counter()
        self._robots: Counter[tuple[str, str, bool]] = Counter()
        self._scores: dict[str, Counter[int]] = {}
        self._sums_ppm: Counter[str] = Counter()
        self._arrays: dict[tuple[str, str], _Together] = {}
        self._units: dict[tuple[str, str], str] = {}
        self._cameras: dict[tuple[str, str, str, int, int], tuple[Counter[str], _Together]] = {}
        self._starts: dict[tuple[str, str], _Where] = {}
        self._lengths = LengthTally()
        self._durations_s: list[float] = []  # those of the last ones, and what those before them add up to
        self._episodes = self._bytes = self._steps = self._practice = self._unscored = 0
        self._unread: list[str] = []

    def add(self, member: Member, facts: Facts | None, judged: Judged) -> None:
        """Add an episode; `facts` is None if its file could not be read."""
        self._episodes += 1
        self._bytes += member.size
        self._counts["split"][member.split.value] += 1
        self._counts["trust"][judged.trust or "unsaid"] += 1
        self._practice += judged.practice is True
        if judged.rules is None or judged.score_ppm is None:
            self._unscored += 1
        else:
            counts = self._scores.setdefault(judged.rules, Counter())
            counts[min(judged.score_ppm * BINS // _PPM, BINS - 1)] += 1
            self._sums_ppm[judged.rules] += judged.score_ppm
        if facts is None:
            self._unread.append(member.episode)
            return
        self._add(facts)

    def _add(self, facts: Facts) -> None:
        self._steps += facts.steps
        self._add_length(facts.duration_s)
        said = {"success": {None: "unknown", True: "true", False: "false"}[facts.success], "model": facts.model}
        said |= {"operator": facts.operator, "driver": facts.driver, "task": f"{facts.task} {facts.task_version}"}
        for name, value in said.items():
            self._counts[name][value] += 1
        self._counts["engine"].update([facts.engine] if facts.engine else [])
        self._robots[facts.robot, facts.model, facts.simulated] += 1
        self._counts["fault"].update(facts.faults.keys())
        self._faults.update(facts.faults)
        for path, numbers in facts.arrays.items():
            self._arrays.setdefault((facts.model, path), _Together()).add(numbers)
            self._units.setdefault((facts.model, path), facts.units.get(path, ""))
        for name, camera in facts.cameras.items():
            key = facts.model, name, camera.codec, camera.width, camera.height
            counts, together = self._cameras.setdefault(key, (Counter(), _Together()))
            counts.update(episodes=1, pictures=camera.pictures)
            if camera.numbers is not None:
                together.add(camera.numbers)
        for name, numbers in (facts.drawn or {}).items() if facts.episode in self._drawn_of else ():
            counts, together = self._drawn.setdefault((facts.model, name), (Counter(), _Together()))
            counts.update(episodes=1, pictures=numbers.count)
            together.add(numbers)
        if facts.starts_m:
            self._starts.setdefault((facts.task, facts.model), _Where()).add(facts.episode, facts.starts_m)

    def _add_length(self, duration_s: float) -> None:
        self._lengths.add(duration_s)
        self._durations_s.append(duration_s)
        if len(self._durations_s) > 1000:
            self._durations_s = [math.fsum(self._durations_s)]

    def card(self, lengths_from_s: Sequence[float] | None = None) -> Card:
        """Return the card of what was added; lengths are counted in these bins, to compare them with another card's."""
        success = self._counts["success"]
        known = success["true"] + success["false"]
        return Card(
            format=FORMAT,
            name=self._head.name,
            version=self._head.version,
            digest=self._digest,
            episodes=self._episodes,
            splits=_sorted(self._counts["split"]),
            bytes=self._bytes,
            steps=self._steps,
            duration_s=math.fsum(self._durations_s),
            success=_sorted(success),
            success_rate=success["true"] / known if known else None,
            scores=[self._score(rules) for rules in sorted(self._scores)],
            unscored=self._unscored,
            trust=_sorted(self._counts["trust"]),
            practice=self._practice,
            tasks=_listed(self._counts["task"]),
            operators=_listed(self._counts["operator"]),
            drivers=_listed(self._counts["driver"]),
            engines=_listed(self._counts["engine"]),
            models=_listed(self._counts["model"]),
            robots=[Robot(one, model, simulated, many) for (one, model, simulated), many in _most(self._robots)],
            cameras=[self._camera(key) for key in sorted(self._cameras)[:LISTED_MAX]],
            faults=[self._fault(name) for name in FAULTS if self._faults[name]],
            lengths=self._lengths.lengths(lengths_from_s),
            starts=[self._start(key) for key in sorted(self._starts)[:LISTED_MAX]],
            arrays=[self._array(key) for key in sorted(self._arrays)],
            unread=self._unread[:UNREAD_MAX],
            drawn=[self._drawn_camera(key) for key in sorted(self._drawn)[:LISTED_MAX]],
        )

    def _score(self, rules: str) -> Scores:
        counts = self._scores[rules]
        many = counts.total()
        return Scores(rules, many, self._sums_ppm[rules] / (_PPM * many), [counts[at] for at in range(BINS)])

    def _camera(self, key: tuple[str, str, str, int, int]) -> Recorded:
        counts, together = self._cameras[key]
        return Recorded(*key, counts["episodes"], counts["pictures"], together.numbers() if together.count else None)

    def _drawn_camera(self, key: tuple[str, str]) -> Recorded:
        counts, together = self._drawn[key]
        said = counts["episodes"], counts["pictures"]
        return Recorded(*key, drawn.CODEC, *drawn.SIZE, *said, together.numbers())

    def _fault(self, name: str) -> Fault:
        return Fault(name, FAULTS[name], self._counts["fault"][name], self._faults[name])

    def _start(self, key: tuple[str, str]) -> Starts:
        found = self._starts[key]
        return Starts(*key, found.episodes, found.lower_m, found.upper_m, found.points_m)

    def _array(self, key: tuple[str, str]) -> Array:
        together = self._arrays[key]
        return Array(*key, self._units[key], together.numbers())


def encoded(card: Card) -> bytes:
    """Return a card's canonical bytes."""
    return canonical(card)


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts) if counts[name]}


def _most(counts: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:LISTED_MAX]


def _listed(counts: Counter[str]) -> Listed:
    first = [Counted(name, count) for name, count in _most(counts)]
    return Listed(first, max(0, len(counts) - len(first)))
