"""The data set itself: frames of many episodes by one index, opened when they are read, in whichever process reads."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from recorder.dataset.cameras import Cameras, Wanted, cameras_of, meant, pictures_of
from recorder.dataset.errors import NoEpisodesError
from recorder.dataset.facts import Facts, Hub, Place, facts_of, require_file
from recorder.dataset.remote.bundle import RemoteBundle, bundles_at, is_remote
from recorder.dataset.remote.reading import recording_at, whole_recording_at
from recorder.dataset.shelf import Open, Seen, Shelf
from recorder.dataset.windows import PAD, offsets, rows
from recorder.export.actions import ActionName, ActionSpace, action_space
from recorder.export.demonstrations import imported_in, recording_in
from recorder.export.errors import MixedRobotsError, MixedTasksError
from recorder.file.episode import Episode
from recorder.file.meta import Meta
from recorder.pictures.cache import PictureCache
from recorder.pictures.drawn import View
from recorder.proof.bundle import MANIFEST_FILE, hashed
from recorder.proof.manifest import EPISODE_FILE

Steps = NDArray[np.int64]
IMAGES: Final = "observation.images."
_TOLERANCE_S: Final = 1e-4
"""As LeRobot's."""
_ASKED_AT_ONCE: Final = 8
_GB: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class EpisodeRange:
    """One episode of a data set: its folder or its URL, what is said of it, and its frames [first, end)."""

    bundle: Place
    facts: Facts
    first: int
    end: int

    @property
    def steps(self) -> int:
        """N: how many frames it has."""
        return self.end - self.first


class EpisodeDataset:
    """Frames of episodes of one robot and one task; `data[index]` is one of them, as NumPy arrays by name.

    Frame t of an episode is what was seen before action t, and action t: N frames for N steps.

    | key | value |
    | --- | --- |
    | `observation.<name>` | float32, each array of the robot, in its own unit |
    | `observation.images.<camera>` | uint8 (H, W, 3), RGB; uint16 (H, W) of depth or a mask |
    | `action` | float32 (A,), in [-1, 1]: `data.action_space` says what, and which environment takes it |
    | `driven` | bool: whether the operator drove |
    | `next.success`, `next.done` | bool: what is so after the action |
    | `timestamp` | float32, s since the episode's first observation, by the robot's clock |
    | `frame_index`, `episode_index`, `index` | int64: in the episode, of the episode, in the data set |
    | `task` | the instruction |

    With `delta_timestamps`, a key has (n, ...) instead, and `<key>_is_pad` says which of the n are outside the episode.
    """

    def __init__(
        self,
        bundles: Path | str | Iterable[Path | str],
        *,
        cameras: Cameras = (),
        action: ActionName | Literal["source"] = "ee_twist",
        delta_timestamps: Mapping[str, Sequence[float]] | None = None,
        where: Callable[[Facts], bool] | None = None,
        hub: Hub | None = None,
        seed: int = 0,
        kept: PictureCache | None = None,
        tolerance_s: float = _TOLERANCE_S,
        open_max: int = 32,
        memory_bytes_max: int = 2 * _GB,
    ) -> None:
        """Find the episodes, and open the first.

        `bundles` are episodes' folders, or one folder that holds such, or URLs: `https://HUB`, a search of a hub
        (`https://HUB/api/episodes?task=lift`), an episode there, or `s3://BUCKET/PREFIX`. At a URL only what is read is
        fetched, and a file is opened in the reading process; one that `hub` vouches for is fetched whole, and checked.
        `where` chooses among them by `facts_of`. The
        fact `trust` is what `hub` has signed (its keys, or the file that has them), and empty if no hub is named.

        `cameras` are names, or a mapping from a name to what it shows: the name of a camera, a `View` of a simulated
        episode, or several of these. Of several, each read takes one, by `seed`, the epoch (`set_epoch`) and the index,
        so that a policy sees the same episode from many sides. Drawn pictures are kept in `kept`.

        Each process that reads keeps at most `open_max` episodes of `memory_bytes_max` open.

        Raises NoEpisodesError, UnreadableBundleError, HubKeysError, MixedRobotsError, MixedTasksError, ActionError,
        NoCameraError, UnknownKeyError, DeltaTimestampsError or RemoteError.
        """
        self.episodes = _chosen(_places(bundles), where, hub)
        """The episodes that were chosen, in order."""
        first = _recording(self.episodes[0].bundle)
        self.meta = first.meta
        """`/meta` of the first episode: robot, task, units, rate."""
        self.action_space: ActionSpace = action_space(action, first.meta)
        """What an action's numbers are, and the environment that takes them."""
        self.seed, self.epoch = seed, 0
        self._kept = PictureCache() if kept is None else kept
        self._cameras = cameras_of(cameras, first)
        self._bounds = open_max, memory_bytes_max
        self._shelf, self._process = Shelf(*self._bounds), os.getpid()
        self._parents: Shelf | None = None
        self._ends = np.array([one.end for one in self.episodes])
        arrays = tuple(f"observation.{one.name}" for one in first.meta.spec.observation)
        self._columns = (*arrays, "action", "driven", "next.success", "next.done", "timestamp")
        self._around = offsets(delta_timestamps or {}, self.keys, first.meta.spec.control_hz, tolerance_s)

    def __len__(self) -> int:
        """Return how many frames there are."""
        return self.episodes[-1].end

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return a frame, with its windows; raise IndexError, an ExportError, a DatasetError or a PictureError."""
        return self.frame(index)

    def frame(self, index: int, cameras: Mapping[str, str | View] | None = None) -> dict[str, Any]:
        """Return a frame; `cameras` says what to show this time, for some or all of their names."""
        number, step = self._place(int(index))
        opened = self._opened(number)
        item: dict[str, Any] = {}
        for key in self._columns:
            self._take(item, key, step, opened, partial(_values, opened, key))
        place = self.episodes[number].first + step
        wanted = {}
        for name, choices in self._cameras.items():
            asked = (cameras or {}).get(name)
            wanted[name] = self._choice(name, choices, place) if asked is None else meant(asked, opened.episode)
        self._look(item, step, opened, {name: self._seen(opened, one) for name, one in wanted.items()})
        return item | {
            "frame_index": np.int64(step),
            "episode_index": np.int64(number),
            "index": np.int64(place),
            "task": self.meta.task.instruction,
        }

    def episode(self, number: int, *, pictures: bool = False) -> dict[str, Any]:
        """Return all N frames of an episode, (N, ...) by key; with its pictures only if asked for: they are large."""
        opened = self._opened(range(len(self.episodes))[number])
        every = np.arange(opened.episode.steps)
        found = {key: _values(opened, key, every) for key in self._columns}
        for name, choices in self._cameras.items() if pictures else ():
            wanted = self._choice(name, choices, self.episodes[number].first)
            found[IMAGES + name] = self._seen(opened, wanted).at(every)
        return found

    @property
    def keys(self) -> tuple[str, ...]:
        """What an item holds that may be a window: all but its indices and its task."""
        return (*self._columns, *(IMAGES + name for name in self._cameras))

    def draw(self) -> int:
        """Draw every picture of simulated episodes that is not kept yet, on all processors; return how many views.

        Without it, the first read of a view draws it, which takes seconds.
        """
        views = [one for choices in self._cameras.values() for one in choices if isinstance(one, View)]
        for number in range(len(self.episodes) if views else 0):
            episode = self._opened(number).episode
            for view in views:
                pictures_of(episode, view, self._kept)
        return len(views) * len(self.episodes)

    def set_epoch(self, epoch: int) -> None:
        """Choose among several cameras as in that epoch. Workers that already run go on with the epoch before."""
        self.epoch = epoch

    def _place(self, index: int) -> tuple[int, int]:
        """Return the number of a frame's episode, and its step there."""
        try:
            index = range(len(self))[index]
        except IndexError as error:
            raise IndexError(f"There are {len(self)} frames: there is no frame {index}.") from error
        number = int(np.searchsorted(self._ends, index, side="right"))
        return number, index - self.episodes[number].first

    def _opened(self, number: int) -> Open:
        if self._process != os.getpid():  # a fork: its parent's decoders are not its own, not even to be freed
            self._parents = self._shelf
            self._shelf, self._process = Shelf(*self._bounds), os.getpid()
        chosen = self.episodes[number]
        return self._shelf.get(chosen.bundle, lambda bundle: self._open(bundle, chosen.facts))

    def _open(self, bundle: Place, facts: Facts) -> Open:
        if isinstance(bundle, RemoteBundle) and facts["trust"]:
            episode, found = whole_recording_at(bundle)
            sha256: Callable[[], str | None] = partial(str, found)
        else:
            episode = _recording(bundle)
            sha256 = partial(_sha256, bundle)
        _require_alike(self.meta, episode.meta)
        require_file(bundle, facts, episode, sha256)
        return Open(episode, *self.action_space.of(episode))

    def _choice(self, name: str, choices: Sequence[Wanted], index: int) -> Wanted:
        if len(choices) == 1:
            return choices[0]
        place = list(self._cameras).index(name)
        return choices[
            int(np.random.default_rng((self.seed % 2**32, self.epoch % 2**32, place, index)).integers(len(choices)))
        ]

    def _seen(self, opened: Open, wanted: Wanted) -> Seen:
        return opened.seen_by(wanted, lambda: pictures_of(opened.episode, wanted, self._kept))

    def _look(self, item: dict[str, Any], step: int, opened: Open, seen: Mapping[str, Seen]) -> None:
        """Decode what the cameras saw: one after the other in a worker of many, otherwise side by side."""
        jobs = [partial(self._take, item, IMAGES + name, step, opened, one.at) for name, one in seen.items()]
        beside = [] if len(jobs) < 2 or multiprocessing.current_process().daemon else jobs[1:]
        waiting = [_threads(os.getpid()).submit(job) for job in beside]
        for job in jobs[: len(jobs) - len(beside)]:
            job()
        for one in waiting:
            one.result()

    def _take(self, item: dict[str, Any], key: str, step: int, opened: Open, values: Callable[[Steps], Any]) -> None:
        around = self._around.get(key)
        if around is None:
            item[key] = values(np.array([step]))[0]
        else:
            at, item[key + PAD] = rows(step, opened.episode.steps, around)
            item[key] = values(at)

    def __getstate__(self) -> dict[str, Any]:
        """Leave what is open here behind: another process opens its own."""
        return {**self.__dict__, "_shelf": None, "_parents": None, "_process": None}


@cache
def _threads(_process: int) -> ThreadPoolExecutor:
    """Return a process's threads, in which cameras are decoded: a fork has none of its parent's."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="cameras")


def _values(opened: Open, key: str, at: Steps) -> Any:
    """Return (n, ...): the values of a key at some steps."""
    episode = opened.episode
    if key == "action":
        return opened.actions[at]
    if key == "driven":
        return opened.driven[at]
    if key == "next.success":
        return episode.arrays["success"][at + 1] == 1
    if key == "next.done":
        return at == episode.steps - 1
    if key == "timestamp":
        return ((episode.t_observed_ns[at] - episode.t_observed_ns[0]) / 1e9).astype(np.float32)
    return episode.observation(key.removeprefix("observation."))[at].astype(np.float32)


def _recording(bundle: Place) -> Episode:
    return recording_at(bundle) if isinstance(bundle, RemoteBundle) else recording_in(bundle)


def _sha256(bundle: Place) -> str | None:
    return None if isinstance(bundle, RemoteBundle) else hashed(bundle / EPISODE_FILE)[1]


def _places(bundles: Path | str | Iterable[Path | str]) -> list[Place]:
    if isinstance(bundles, str) and is_remote(bundles):
        return [*bundles_at(bundles)]
    if not isinstance(bundles, str | Path):
        named = list(bundles)
        at_urls = {one: bundles_at(one) for one in named if isinstance(one, str) and is_remote(one)}
        return [place for one in named for place in (at_urls[str(one)] if one in at_urls else [Path(one)])]
    folder = Path(bundles)
    if (folder / MANIFEST_FILE).is_file():
        return [folder]
    if (folder / EPISODE_FILE).is_file() and imported_in(folder):
        return [folder]
    signed = {one.parent for one in folder.glob(f"*/{MANIFEST_FILE}")}
    others = {one.parent for one in folder.glob(f"*/{EPISODE_FILE}")} - signed
    return sorted(signed | {one for one in others if imported_in(one)})


def _said(places: Sequence[Place], hub: Hub | None) -> list[tuple[Place, dict[str, Any]]]:
    """Return each with its facts; those at URLs side by side, as each takes a few round trips."""
    if not any(isinstance(one, RemoteBundle) for one in places):
        return [(place, facts_of(place, hub)) for place in places]
    with ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="facts") as threads:
        return list(zip(places, threads.map(lambda place: facts_of(place, hub), places), strict=True))


def _chosen(
    places: Sequence[Place], where: Callable[[Facts], bool] | None, hub: Hub | None
) -> tuple[EpisodeRange, ...]:
    """Return the episodes that `where` lets pass; raise unless there are some, alike as far as their manifests tell."""
    if not places:
        raise NoEpisodesError(
            "There is no episode: name folders that hold a manifest.json, one folder of such, or a URL of some."
        )
    said = _said(places, hub)
    passed = [(folder, facts) for folder, facts in said if where is None or where(facts)]
    if not passed:
        raise NoEpisodesError(f"None of the {len(said)} episodes passes `where`. The first is {said[0][1]}.")
    found, first = [], 0
    for folder, facts in passed:
        _require_same(passed[0][1], facts)
        found.append(EpisodeRange(folder, facts, first, first + facts["steps"]))
        first = found[-1].end
    return tuple(found)


def _require_same(first: Facts, other: Facts) -> None:
    task, found = (f"{facts['task']} {facts['task_version']}" for facts in (first, other))
    if task != found:
        raise MixedTasksError(
            f"{first['episode']} is of {task}, and {other['episode']} of {found}. A data set holds one task: "
            "choose it by `where`."
        )
    robot, model = (_kind(facts["model"], facts["simulated"], facts["control_hz"]) for facts in (first, other))
    if robot != model:
        raise MixedRobotsError(
            f"{first['episode']} is of {robot}, and {other['episode']} of {model}. A data set holds one kind of robot: "
            "choose it by `where`."
        )


def _kind(model: str, simulated: bool, control_hz: float) -> str:
    return f"a {'simulated' if simulated else 'real'} {model} at {control_hz:g} Hz"


def _require_alike(first: Meta, other: Meta) -> None:
    """Raise MixedRobotsError unless two episodes have the same arrays and joints."""
    arrays, found = ([(one.name, one.shape) for one in meta.spec.observation] for meta in (first, other))
    if arrays != found or first.spec.joint_names != other.spec.joint_names:
        raise MixedRobotsError(
            f"{first.episode} and {other.episode} are of robots with other joints or observations, though both are "
            f"called {first.robot.model}. A data set holds one kind of robot."
        )
