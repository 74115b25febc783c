"""Makes `golden/`: one tiny good bundle and broken ones. `python -m tests.recorder.make_golden`

A later version of this project must read `good/` and refuse the others by the same names; so this is run only when the
format's version changes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import h5py

from tests.recorder.bundles import good_bundle
from tests.recorder.factory import SESSION, WALLET

GOLDEN: Final = Path(__file__).parent / "golden"
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


def main() -> None:
    """Make the corpus anew."""
    shutil.rmtree(GOLDEN, ignore_errors=True)
    with TemporaryDirectory() as folder:
        good = good_bundle(Path(folder), steps=8, joints=2, wallet=WALLET, session=SESSION)
        shutil.copytree(good, GOLDEN / "good")
    for name, change in BROKEN.items():
        shutil.copytree(GOLDEN / "good", GOLDEN / name)
        change(GOLDEN / name)
        if name not in ("FileHashMismatch",):
            (GOLDEN / name / "episode.h5").unlink()
    truncated = GOLDEN / "EpisodeStructureInvalid"
    truncated.mkdir()
    (truncated / "episode.h5").write_bytes((GOLDEN / "good" / "episode.h5").read_bytes()[:6000])


if __name__ == "__main__":
    main()
