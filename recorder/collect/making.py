"""From a driven episode to a bundle that counts: sealed, signed by robot and operator, checked, replayed, put in place.

Part of recorder; exports `Maker`. The operator signs as one at a hub does: only a manifest of what was driven, whose
commands are those that were sent.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from recorder.collect.drive import Drive
from recorder.collect.folder import CollectError, Folder, Made
from recorder.collect.parties import Parties
from recorder.file.episode import read_episode
from recorder.file.journal import JOURNAL_SUFFIX, finish
from recorder.proof.bundle import MANIFEST_FILE, SIGNATURES_FILE, SIGNATURES_JSON, read_bundle
from recorder.proof.case import Replayer, Trust
from recorder.proof.contribute import Driven, countersign
from recorder.proof.description import hash_description
from recorder.proof.hubless import NO_HUB
from recorder.proof.manifest import EPISODE_FILE, NO_PREVIOUS
from recorder.proof.refusals import GateError
from recorder.proof.replayed import replayed
from recorder.proof.seal import seal
from recorder.proof.unable import UnableError
from recorder.proof.verify import verify
from sim.robot import Robot
from teleop.files import write_atomic

After = Callable[[Path], None]
"""Called with each whole bundle before it is put in its place."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one seed."""

    episode: str
    seed: int
    steps: int
    seconds: float
    """In the simulation."""
    success: bool
    lost: str = ""
    """Why nothing was kept of it; empty if the episode is there."""


class Maker:
    """Makes the episodes of one connected simulated robot at its task, one after the other."""

    def __init__(
        self,
        world: Robot,
        parties: Parties,
        folder: Folder,
        made: Made,
        *,
        replay: bool,
        after: After | None = None,
        rules: str | None = None,
    ) -> None:
        """With `replay`, an episode counts only if it can be reproduced to the last bit.

        `rules` is the version of the scoring rules that its episodes name.
        """
        self._rules = rules
        self._world, self._parties, self._folder, self._made = world, parties, folder, made
        self._replay: Replayer | None = replayed if replay else None
        self._after = after
        self._described = hash_description(world.spec.model)

    def begin(self, episode: str, seed: int) -> Drive:
        """Begin an episode."""
        journal = self._folder.making / (episode + JOURNAL_SUFFIX)
        driver, described = self._made.driver, self._described
        return Drive(self._world, self._parties, episode, seed, driver, journal, described, self._rules)

    def keep(self, drive: Drive) -> Attempt:
        """Keep an episode that has ended; raise CollectError if it cannot be what it says it is.

        One whose world burst is not kept: what was driven there is not physics.
        """
        made = self.attempt(drive)
        if drive.unstable is not None:
            return dataclasses.replace(made, lost=f"unstable: {drive.unstable}")
        file = drive.journal.with_suffix(".h5")
        finish(drive.journal, file)
        bundle = self._folder.making / drive.episode
        seal(file, bundle, key=self._parties.robot, domain=NO_HUB, previous=NO_PREVIOUS)
        self._sign(drive, bundle)
        self._check(bundle)
        if self._after is not None:
            self._after(bundle)
        self._folder.place(bundle)
        return made

    def attempt(self, drive: Drive) -> Attempt:
        """Return what was driven; raise CollectError if that is nothing."""
        ended = drive.ended
        if ended is None or not ended.kept:
            raise CollectError(f"{drive.episode} has no step: the dead-man was never held, so nothing was recorded.")
        seconds = ended.steps / self._world.spec.control_hz
        return Attempt(drive.episode, drive.seed, ended.steps, seconds, bool(ended.success))

    def _sign(self, drive: Drive, bundle: Path) -> None:
        """Sign as the operator, who compares the manifest with what was driven and sent."""
        who = self._parties.operator, self._parties.robot.address
        driven = Driven(drive.episode, *who, self._made.task, drive.driver)
        data, path = (bundle / MANIFEST_FILE).read_bytes(), bundle / SIGNATURES_FILE
        signature = countersign(data, driven, self._parties.session, NO_HUB, drive.sent)
        signatures = SIGNATURES_JSON.decode(path.read_bytes())
        write_atomic(path, msgspec.structs.replace(signatures, operator=signature).encode())

    def _check(self, bundle: Path) -> None:
        """Let the gates that any verifier has pass the whole bundle; what they refuse is removed."""
        read = dataclasses.replace(read_bundle(bundle), episode=read_episode(bundle / EPISODE_FILE))
        try:
            verify(read, Trust(NO_HUB, replay=self._replay))
        except (GateError, UnableError) as error:
            shutil.rmtree(bundle)
            raise CollectError(f"{bundle.name} would not count, and is not kept: {error}") from error
