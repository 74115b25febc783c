"""What every export is made of: demonstrations that fit together, one at a time, and their frames.

    for demonstration in demonstrations(bundles, action="ee_twist"):
        for frame in frames(demonstration):
            ...

All bundles are checked before the first one is given out, so an export is made whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.export.actions import ActionName, ActionSpace, action_space
from recorder.export.errors import (
    ActionError,
    CameraError,
    MixedRobotsError,
    MixedTasksError,
    NothingToExportError,
    RepeatedEpisodeError,
    UnreadableBundleError,
    UnverifiedError,
    WithdrawnError,
)
from recorder.file.apart import reader
from recorder.file.episode import Episode, EpisodeError
from recorder.file.meta import ImportMeta, Meta, SpecMeta
from recorder.pictures.channel import Pictures
from recorder.pictures.decode import Decoder
from recorder.proof import manifest as manifests
from recorder.proof.bundle import MANIFEST_FILE, RECEIPT_JSON, Bundle, TrustClass, read_bundle
from recorder.proof.case import Trust
from recorder.proof.manifest import EPISODE_FILE, Manifest
from recorder.proof.refusals import GateError
from recorder.proof.verify import claimed_domain, require_gates, signed_gates
from sim.robot import Vector
from sim.words import listed
from teleop.identity import Domain

Facts = Callable[[Path, Episode], Mapping[str, Any]]
"""Gives what is said of an episode beside its file, such as its score: name -> text, number or truth value."""
Draw = Callable[[Episode, str, int, int], Pictures]
"""Draws what a camera saw in a simulated episode: camera, width, height; one picture for each observation."""
Gone = Callable[[Manifest], str]
"""Says why a hub no longer gives an episode out; an empty text if it does."""
Watch = Callable[[str, int], None]
"""Is told what is being done (`checking`, `reading`, `writing`), and of how many episodes it is done."""

Splits = Sequence[tuple[str, int]]
"""The splits in the order of the episodes: the first has the first so many, the next those that follow, and so on."""

_WHOLE: Final = ("files", "canonical", "schema", "file")
_ANYONE: Final = Trust(Domain(0, "0x" + 40 * "0"))
"""For gates that look at no signature."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One episode, as an export sees it. N steps; row t of an observation was seen before action t."""

    number: int
    """Its place in the export, from 0."""
    bundle: Path
    manifest: Manifest | None
    """None for an imported episode, which nobody signed."""
    digest: str
    """The 32 bytes that robot and operator signed, as 0x-hex; empty for an imported episode."""
    episode: Episode
    space: ActionSpace
    actions: NDArray[np.float32]
    """(N, A), in [-1, 1] if `space.bounded`."""
    driven: NDArray[np.bool_]
    """(N,): whether the operator drove."""
    steps: NDArray[np.int64]
    """(M,): the steps that are exported, in order: those that were driven, or all of them."""
    facts: Mapping[str, Any]
    """What is said of the episode as a whole: name -> text, number or truth value; the same names in each."""
    pictures: Mapping[str, Pictures]
    """What each camera saw, by its name."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One step that is exported."""

    index: int
    """Which of the episode's steps it is."""
    t_ns: int
    """Monotonic clock of the robot's computer: when the observation had arrived."""
    observation: Mapping[str, Vector]
    action: NDArray[np.float32]
    """(A,): what was done from this observation."""
    driven: bool
    pictures: Mapping[str, NDArray[Any]]
    """Decoded: by camera, the newest picture that had been taken by `t_ns`."""


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """Checked episodes of one robot and one task. Each iteration reads them again, one at a time."""

    bundles: tuple[Path, ...]
    meta: Meta
    """Of the first: they are alike but for what tells episodes apart."""
    space: ActionSpace
    cameras: tuple[str, ...]
    size: tuple[int, int]
    """Width and height of pictures that are drawn."""
    hubs: frozenset[str]
    """Who signed the receipts; empty if unverified episodes were allowed."""
    steps: int
    """How many steps of all of them are exported."""
    _checked: tuple[_Checked, ...]
    _driven_only: bool
    _facts: Facts | None
    _draw: Draw | None
    _watch: Watch

    @property
    def digests(self) -> tuple[str, ...]:
        """What was signed of each, as 0x-hex."""
        return tuple(one.digest for one in self._checked)

    def __len__(self) -> int:
        return len(self.bundles)

    @property
    def imported(self) -> int:
        """How many of them were imported, and so are unsigned."""
        return sum(one.manifest is None for one in self._checked)

    def __iter__(self) -> Iterator[Demonstration]:
        for number, (bundle, checked) in enumerate(zip(self.bundles, self._checked, strict=True)):
            episode = recording_in(bundle)
            actions, driven = self.space.of(episode)
            said = self._facts(bundle, episode) if self._facts else {}
            yield Demonstration(
                number,
                bundle,
                checked.manifest,
                checked.digest,
                episode,
                self.space,
                actions,
                driven,
                _kept(driven, driven_only=self._driven_only),
                _facts_of(checked, episode, self.space) | dict(said),
                {name: self._seen(episode, name) for name in self.cameras},
            )
            self._watch("writing", number + 1)

    def _seen(self, episode: Episode, camera: str) -> Pictures:
        if not episode.drawn:
            return episode.pictures[camera]
        if self._draw is None:
            raise CameraError(_cannot_draw(episode, camera))
        return self._draw(episode, camera, *self.size)


def demonstrations(
    bundles: Sequence[Path],
    *,
    action: ActionName | Literal["source"] = "ee_twist",
    cameras: Sequence[str] | None = None,
    size: tuple[int, int] = (640, 480),
    facts: Facts | None = None,
    draw: Draw | None = None,
    trust: Trust | None = None,
    unverified: bool = False,
    gone: Gone | None = None,
    driven_only: bool = True,
    watch: Watch = lambda what, done: None,
) -> Demonstrations:
    """Return the episodes in `bundles`, in this order, checked; raise an ExportError that says what does not fit.

    Each needs a hub's receipt that stands: of the hub that `trust` names, or, without it, of any. With `unverified`, an
    episode is taken as its file has it. By default a real robot's cameras are all taken, and a simulated one's are not,
    and steps in which nobody drove are left out: the robot then held still, whatever there was to be seen.
    """
    if not bundles:
        raise NothingToExportError("Name at least one episode's folder.")
    checked = []
    for done, bundle in enumerate(bundles):
        watch("checking", done)
        checked.append(_check(bundle, trust, unverified=unverified, gone=gone))
    _require_once(bundles, checked)
    first = recording_in(bundles[0])
    space = action_space(action, first.meta)
    wanted = tuple(dict.fromkeys(first.pictures if cameras is None else cameras))
    steps = 0
    for done, bundle in enumerate(bundles):
        watch("reading", done)
        episode = recording_in(bundle)
        _require_alike(first, episode)
        _require_cameras(first, episode, wanted, draw, size)
        driven = space.of(episode).driven
        if not driven.any():
            raise ActionError(f"{episode.meta.episode} was not driven in any of its steps. Leave it out.")
        steps += len(_kept(driven, driven_only=driven_only))
    hubs = frozenset(one.hub for one in checked if one.hub)
    checks = tuple(checked)
    return Demonstrations(
        tuple(bundles), first.meta, space, wanted, size, hubs, steps, checks, driven_only, facts, draw, watch
    )


def _kept(driven: NDArray[np.bool_], *, driven_only: bool) -> NDArray[np.int64]:
    return np.flatnonzero(driven) if driven_only else np.arange(len(driven), dtype=np.int64)


def ranges(splits: Splits) -> dict[str, str]:
    """Return each split's episodes as `first:end`, which is how LeRobot's info.json has them."""
    made, end = {}, 0
    for name, count in splits:
        made[name], end = f"{end}:{end + count}", end + count
    return made


def frames(demonstration: Demonstration) -> Iterator[Frame]:
    """Yield a demonstration's frames in order; raise a PictureError if one of its pictures cannot be decoded."""
    episode, seen = demonstration.episode, demonstration.episode.observations
    t_ns = episode.t_observed_ns[:-1]
    decoders = {name: Decoder(pictures) for name, pictures in demonstration.pictures.items()}
    newest = {name: pictures.at(t_ns) for name, pictures in demonstration.pictures.items()}
    for index in demonstration.steps.tolist():
        yield Frame(
            index,
            int(t_ns[index]),
            {name: array[index] for name, array in seen.items()},
            demonstration.actions[index],
            bool(demonstration.driven[index]),
            {name: decoder.frame(int(newest[name][index])) for name, decoder in decoders.items()},
        )


@dataclass(frozen=True, slots=True)
class _Checked:
    """What the documents beside an episode's file say, and who vouches for it."""

    manifest: Manifest | None
    """None for an imported episode."""
    digest: str
    trust: str
    """`replayed`, `witnessed`, or empty if no receipt says it."""
    hub: str
    """Who signed the receipt; empty if it was not looked at."""
    origin: ImportMeta | None = None

    @property
    def key(self) -> str:
        """What tells it from every other episode."""
        return self.digest if self.origin is None else f"{self.origin.sha256} {self.origin.index}"


def _check(bundle: Path, trust: Trust | None, *, unverified: bool, gone: Gone | None) -> _Checked:
    read = read_bundle(bundle)
    if read.manifest is None and (origin := imported_in(bundle)) is not None:
        if not unverified:
            raise UnverifiedError(
                f"{bundle} was imported from {origin.source}, so nobody signed it and no hub has verified it. Leave it "
                "out, or give --unverified to take it as it is."
            )
        return _Checked(None, "", "", "", origin)
    try:
        require_gates(read, _ANYONE, _WHOLE)
        domain = trust.domain if trust else claimed_domain(read)
    except GateError as error:
        raise UnreadableBundleError(f"{bundle} is not a complete episode: {error}. {_way_on(bundle)}") from error
    manifest = manifests.decode(read.manifest or b"")
    digest = manifests.digest(manifest, read.manifest or b"", domain)
    if gone is not None and (reason := gone(manifest)):
        raise WithdrawnError(f"{bundle}: {reason}. Leave it out.")
    if unverified:
        return _Checked(manifest, digest, "", "")
    return _Checked(manifest, digest, *_vouched(bundle, read, trust or Trust(domain)))


def _way_on(bundle: Path) -> str:
    """Say what to do about a folder that is no episode: people name the folder that all of theirs are in."""
    if next(bundle.glob("*/manifest.json"), None) is not None:
        return f"It holds episodes: name them, as {bundle}/*."
    return "Fetch it again, or leave it out."


def _vouched(bundle: Path, read: Bundle, trust: Trust) -> tuple[str, str]:
    """Return the class of trust, and the hub that signed it; raise UnverifiedError.

    Anyone can call themselves a hub and sign a receipt, so a class of trust is repeated only of a hub that was named.
    """
    if read.receipt is None:
        raise UnverifiedError(
            f"{bundle} has no receipt, so no hub has verified it. Fetch it again once it is verified, leave it out, "
            "or give --unverified to take it as it is."
        )
    try:
        receipt = RECEIPT_JSON.decode(read.receipt)
        expected = Trust(trust.domain, hub=trust.hub or receipt.hub, log_key=trust.log_key)
        require_gates(read, expected, signed_gates(expected))
    except (GateError, ValueError) as error:
        raise UnverifiedError(f"{bundle} is not a verified episode: {error}") from error
    named = trust.hub and isinstance(receipt.trust, TrustClass)
    return (str(receipt.trust) if named else ""), receipt.hub


def _require_once(bundles: Sequence[Path], checked: Sequence[_Checked]) -> None:
    first: dict[str, Path] = {}
    for bundle, one in zip(bundles, checked, strict=True):
        if one.key in first:
            raise RepeatedEpisodeError(f"{bundle} is the same episode as {first[one.key]}. Name it once.")
        first[one.key] = bundle


def _require_alike(first: Episode, other: Episode) -> None:
    task, found = (one.meta.task for one in (first, other))
    if (task.name, task.version) != (found.name, found.version):
        kinds = [f"{one.name} (version {one.version})" for one in (task, found)]
        tasks = f"{first.meta.episode} is of the task {kinds[0]}, and {other.meta.episode} of {kinds[1]}"
        raise MixedTasksError(f"{tasks}. A data set holds one task: export them apart.")
    robot, given = (one.meta.robot for one in (first, other))
    alike = _of_any_version(first.meta.spec) == _of_any_version(other.meta.spec)
    if not alike or (robot.model, robot.simulated) != (given.model, given.simulated):
        kinds = [f"a {'simulated' if one.simulated else 'real'} {one.model}" for one in (robot, given)]
        robots = f"{first.meta.episode} is of {kinds[0]}, and {other.meta.episode} of another robot, {kinds[1]}"
        raise MixedRobotsError(f"{robots}. A data set holds one kind of robot: export them apart.")


def _of_any_version(spec: SpecMeta) -> SpecMeta:
    """Return what every version of the format says of a robot."""
    return msgspec.structs.replace(spec, joint_resolution_rad=msgspec.UNSET)


def _require_cameras(
    first: Episode, episode: Episode, wanted: Sequence[str], draw: Draw | None, size: tuple[int, int]
) -> None:
    """Raise CameraError unless an episode has pictures of every camera, as large as those of the first episode."""
    name = episode.meta.episode
    if episode.drawn and wanted and draw is None:
        raise CameraError(_cannot_draw(episode, wanted[0]))
    seen = episode.pictures
    for camera in wanted:
        if not episode.drawn and camera not in seen:
            raise CameraError(f"{name} has no camera {camera!r}. It has {listed(seen)}.")
        if not episode.drawn and not len(seen[camera]):
            raise CameraError(f"{name} has no picture of {camera}: its camera gave none. Leave it out, or --camera.")
        found, expected = (_looks(of, camera, size, kind=first.drawn is episode.drawn) for of in (episode, first))
        if found != expected:
            raise CameraError(
                f"{name} has {camera} as {found}, and {first.meta.episode} as {expected}: export them apart."
            )


def _looks(episode: Episode, camera: str, size: tuple[int, int], *, kind: bool) -> str:
    """Return how large an episode's pictures of a camera are; of cameras that recorded also how they are encoded."""
    if episode.drawn:
        return f"{size[0]}x{size[1]}"
    pictures = episode.pictures[camera]
    return f"{pictures.width}x{pictures.height}" + (f" {pictures.codec}" if kind else "")


def _cannot_draw(episode: Episode, camera: str) -> str:
    return (
        f"{episode.meta.episode} is a simulation: its pictures of {camera} have to be drawn, which cannot be done here."
    )


def _facts_of(checked: _Checked, episode: Episode, space: ActionSpace) -> dict[str, Any]:
    """Return what the bundle itself says of an episode as a whole."""
    meta = episode.meta
    if meta.origin is not None:
        return imported_facts(meta, meta.origin)
    driver = meta.driven_by
    return {
        "episode": meta.episode,
        "digest": checked.digest,
        "success": episode.end.success is True,
        "operator": meta.operator.address,
        "robot": meta.robot.address,
        "driver": driver.kind.value,
        "driver_name": driver.name,
        "driver_sha256": driver.sha256,
        "trust": checked.trust,
        "seed": meta.seed,
        "end_reason": episode.end.reason.value,
        "clipped_steps": space.clipped(episode),
    }


def imported_facts(meta: Meta, origin: ImportMeta) -> dict[str, Any]:
    """Return what is said of an imported episode: that it is one, and where it comes from. Nobody vouches for it."""
    return {
        "episode": meta.episode,
        "digest": "",
        "success": meta.end is not None and meta.end.success is True,
        "trust": "",
        "imported_from": origin.source,
        "imported_sha256": origin.sha256,
        "imported_index": origin.index,
        "imported_format": f"{origin.format} {origin.format_version}",
        "imported_by": origin.software,
        "imported_ms": int(origin.imported_ms),
        "imported_times": origin.times,
    }


def origin_of(meta: Meta) -> dict[str, Any]:
    """Return what `armshare import` needs to know of robot and task, as JSON has it."""
    said = {"spec": meta.spec, "task": meta.task, "model": meta.robot.model, "simulated": meta.robot.simulated}
    made: dict[str, Any] = msgspec.to_builtins(said)
    return made


def imported_in(bundle: Path) -> ImportMeta | None:
    """Return where the episode in a folder was imported from; None if it was not, or there is none that can be read."""
    try:
        return reader().read(bundle / EPISODE_FILE, imported=True).meta.origin
    except EpisodeError:
        return None


def recording_in(bundle: Path) -> Episode:
    """Return the recording in a folder, read by a process with limits; raise UnreadableBundleError.

    An imported one is read only if no manifest lies beside it: nobody can sign what nobody recorded.
    """
    try:
        return reader().read(bundle / EPISODE_FILE, imported=not os.path.lexists(bundle / MANIFEST_FILE))
    except EpisodeError as error:
        raise UnreadableBundleError(f"{bundle} is not a complete episode: {error}") from error
