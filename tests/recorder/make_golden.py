"""Makes `golden/version-2/`: good bundles and broken ones. `python -m tests.recorder.make_golden`

A later version of this project must read what is good and refuse the others by the same names; so this is run only when
the format's version changes. `golden/version-1/` was made in the same way by the release that wrote version 1.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import h5py
import msgspec
import rfc8785

from recorder.file.episode import Episode
from recorder.file.journal import write_clean
from recorder.proof import manifest as manifests
from recorder.proof.manifest import NO_PREVIOUS
from teleop.wire.reasons import EndReason
from tests.recorder.bundles import Adversary, good_bundle, receipt, signed
from tests.recorder.driving import drive
from tests.recorder.filming import seen
from tests.recorder.lies import CHANGED, EXPIRED, PICTURES, RECORDED, SAID

GOLDEN: Final = Path(__file__).parent / "golden"
VERSION_1: Final = GOLDEN / "version-1"
VERSION_2: Final = GOLDEN / "version-2"
KEPT: Final = {
    *("a changed byte", "two swapped", "one dropped in the middle", "another value commanded"),
    *("one moved to an earlier step", "one moved to a later step"),
    *("a value that is not finite", "commands that are not cut"),
    *("driven without pressing", "driven after a silence", "driven on in a new epoch", "driven before it was armed"),
    "rules that the file does not name",
    *("version 1", "another last command", "the first epoch only"),
    *("a picture that is cut short", "what another camera saw", "a clock that goes back", "a key that hides"),
    "a picture less than there are ends",
}
"""Which of the lies are kept as files; all are told in `proof/test_commands.py` and `proof/test_pictures.py`."""
BROKEN: Final[dict[str, Callable[[Path], None]]] = {}


def broken(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Add a way to break a bundle, named after the gate that refuses it."""
    BROKEN[change.__name__] = change
    return change


@broken
def BundleIncomplete(bundle: Path) -> None:  # noqa: N802  the gate's name
    """Lose a file."""
    (bundle / "signatures.json").unlink()


@broken
def ManifestNotCanonical(bundle: Path) -> None:  # noqa: N802
    """Print the manifest more prettily."""
    path = bundle / "manifest.json"
    path.write_bytes(path.read_bytes() + b"\n")


@broken
def ManifestInvalid(bundle: Path) -> None:  # noqa: N802
    """Leave the commands out of the manifest."""
    path = bundle / "manifest.json"
    said = msgspec.json.decode(path.read_bytes())
    del said["commands"]
    path.write_bytes(manifests.canonical(said))


@broken
def FileHashMismatch(bundle: Path) -> None:  # noqa: N802
    """Change one value in place, as a careless tool would."""
    with h5py.File(bundle / "episode.h5", "r+") as file:
        file["applied/gripper"][3] = 0.5


@broken
def RobotSignatureInvalid(bundle: Path) -> None:  # noqa: N802
    """Let the operator sign twice."""
    path = bundle / "signatures.json"
    text = path.read_text()
    operator = text.partition('"operator":"')[2][:132]
    robot = text.partition('"robot":"')[2][:132]
    path.write_text(text.replace(robot, operator))


@broken
def InclusionInvalid(bundle: Path) -> None:  # noqa: N802
    """Forget a hash of the proof."""
    path = bundle / "receipt.json"
    head, _, tail = path.read_text().partition('"inclusion":["')
    path.write_text(head + '"inclusion":["' + tail[tail.index('"0x') + 1 :])


@broken
def ReceiptInvalid(bundle: Path) -> None:  # noqa: N802
    """Say that it rests on something else than the hub signed."""
    path = bundle / "receipt.json"
    said = json.loads(path.read_text()) | {"trust": "witnessed"}
    path.write_bytes(rfc8785.dumps(said))


def write(bundle: Path, episode: Episode, **said: Any) -> None:
    """Write a bundle of an episode, whatever it holds, signed by everyone; `said` changes its manifest."""
    bundle.mkdir(parents=True)
    file = bundle / "episode.h5"
    write_clean(file, episode.meta, episode.arrays)
    data = file.read_bytes()
    manifest = manifests.of_episode(
        episode,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        root=manifests.root_hex(episode),
        previous=NO_PREVIOUS,
        software="0",
    )
    text = msgspec.structs.replace(manifest, **said).encode()
    (bundle / "manifest.json").write_bytes(text)
    (bundle / "signatures.json").write_bytes(signed(text).encode())
    (bundle / "receipt.json").write_bytes(receipt(text))


def write_lies(good: Path) -> None:
    """Write each lie that is kept, below the name of the gate that refuses it."""
    told = Adversary.of(good)
    for name, (change, refusal) in CHANGED.items():
        if name in KEPT:
            arrays = {path: array.copy() for path, array in told.episode.arrays.items()}
            change(arrays)
            write(VERSION_2 / refusal.__name__ / slug(name), dataclasses.replace(told.episode, arrays=arrays))
    for name, (say, refusal) in SAID.items():
        if name in KEPT:
            bundle = VERSION_2 / refusal.__name__ / slug(name)
            write(bundle, told.episode, **say(told.manifest))
            (bundle / "episode.h5").unlink()


def write_early_limit(good: Path) -> None:
    """Write an episode that says that it reached its task's limit, before it did."""
    told = Adversary.of(good).episode
    end = msgspec.structs.replace(told.end, reason=EndReason.STEP_LIMIT)
    meta = msgspec.structs.replace(told.meta, end=end)
    early = Episode(meta, meta.encode(), end, told.arrays)
    write(VERSION_2 / "EndMismatch" / "a-limit-that-was-not-reached", early)


def write_rules() -> None:
    """Write an episode that names the rules that it is scored by, as those of later hubs do."""
    with TemporaryDirectory() as folder:
        shutil.copytree(good_bundle(Path(folder), made=drive(rules="2")), VERSION_2 / "good-rules")


def write_seen() -> None:
    """Write an episode of a real robot with cameras, and lies about its pictures."""
    good = VERSION_2 / "good-seen"
    with TemporaryDirectory() as folder:
        shutil.copytree(good_bundle(Path(folder), made=seen()), good)
    told = Adversary.of(good)
    for name, (change, refusal) in PICTURES.items():
        if name in KEPT:
            arrays = {path: array.copy() for path, array in told.episode.arrays.items()}
            change(arrays)
            write(VERSION_2 / refusal.__name__ / slug(name), dataclasses.replace(told.episode, arrays=arrays))


def slug(name: str) -> str:
    """Return a lie's name as a folder's."""
    return name.replace(" ", "-")


def copied(folder: Path, *, scripts: Any, safety: Any) -> Path:
    """Record a drive as its host tells it."""
    with TemporaryDirectory() as made:
        return Path(shutil.copytree(good_bundle(Path(made), made=drive(scripts, safety)), folder))


def main() -> None:
    """Make the corpus of version 2, in the place of the one that is there."""
    shutil.rmtree(VERSION_2, ignore_errors=True)
    good = VERSION_2 / "good"
    with TemporaryDirectory() as folder:
        shutil.copytree(good_bundle(Path(folder), made=drive()), good)
    copied(VERSION_2 / "good-expired", scripts=EXPIRED["and armed again"][0], safety=EXPIRED["and armed again"][1])
    for name, change in BROKEN.items():
        shutil.copytree(good, VERSION_2 / name / "bundle")
        change(VERSION_2 / name / "bundle")
        if name != "FileHashMismatch":
            (VERSION_2 / name / "bundle" / "episode.h5").unlink()
    write_lies(good)
    write_early_limit(good)
    write_rules()
    write_seen()
    for name, (scripts, safety) in RECORDED.items():
        if name in KEPT:
            copied(VERSION_2 / "SafetyMismatch" / slug(name), scripts=scripts, safety=safety)


if __name__ == "__main__":
    main()
