"""The golden corpus: bundles of each version that every later one must read, and broken ones that it must refuse."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import pytest

from recorder.export.demonstrations import demonstrations
from recorder.export.robomimic import export
from recorder.file.episode import EpisodeError, UnreadableFileError, read_episode
from recorder.file.journal import finish, read_journal
from recorder.proof import refusals
from recorder.proof.bundle import TrustClass, opened, read_bundle
from recorder.proof.verify import verify_bundle
from rewards.score.score import facts_of, score
from rewards.score.versions import FIRST, SECOND
from teleop.wire.reasons import EndReason
from tests.recorder.bundles import TRUST, good_bundle
from tests.recorder.driving import drive
from tests.recorder.make_golden import GOLDEN, VERSION_1, VERSION_2

GOOD: Final = {
    VERSION_1 / "good": "0x71e75ec2dc67ec50511a18f5169af22c7807419a6f98f19962a3558a7676494a",
    VERSION_2 / "good": "0xfa63ae0bcf56303fe85ac3f5ef41c4f0cf238b03c3683cbd2bf851c5b12a6a53",
    VERSION_2 / "good-expired": "0xb5c45426ab30bd2f35ef93f5a409127b632a4fa6fcb82d5ddc49b121297f0fa9",
    VERSION_2 / "good-rules": "0xfa63ae0bcf56303fe85ac3f5ef41c4f0cf238b03c3683cbd2bf851c5b12a6a53",
    VERSION_2 / "good-seen": "0x9814716ff1b710d93d220ceebac20ef44deda72bcc4d38a3dcb50971249353b3",
}
BROKEN: Final = {
    **{path: path.name for path in VERSION_1.iterdir() if (path / "manifest.json").exists() and path.name != "good"},
    **{path: path.parent.name for path in VERSION_2.glob("*/*") if path.is_dir()},
}


def named(path: Path) -> str:
    return str(path.relative_to(GOLDEN))


@pytest.mark.parametrize("path", GOOD, ids=named)
def test_a_good_bundle_still_passes_every_gate(path: Path) -> None:
    report = verify_bundle(path, TRUST)

    assert report.episode == "episode-1"
    assert report.content_root == GOOD[path]
    told = {"commands", "safety"}
    assert told <= set(report.skipped if path.parent == VERSION_1 else report.passed)


@pytest.mark.parametrize("path", BROKEN, ids=named)
def test_a_broken_bundle_is_refused_by_the_name_of_its_folder(tmp_path: Path, path: Path) -> None:
    bundle = Path(shutil.copytree(path, tmp_path / "bundle"))
    good = next(one for one in path.parents if one.parent == GOLDEN) / "good"
    if not (bundle / "episode.h5").exists():
        shutil.copy(good / "episode.h5", bundle)

    with pytest.raises(getattr(refusals, BROKEN[path])):
        verify_bundle(bundle, TRUST)


def test_a_truncated_episode_is_refused_by_name() -> None:
    with pytest.raises(UnreadableFileError):
        read_episode(VERSION_1 / "EpisodeStructureInvalid" / "episode.h5")
    assert isinstance(opened(read_bundle(VERSION_1 / "EpisodeStructureInvalid")).episode, UnreadableFileError)


def test_every_gate_of_the_commands_and_pictures_is_in_the_corpus() -> None:
    kept = {"CommandsMismatch", "SafetyMismatch", "ManifestDisagrees", "ManifestInvalid", "EpisodeStructureInvalid"}
    kept |= {"PicturesInvalid"}

    assert kept <= {name for path, name in BROKEN.items() if VERSION_2 in path.parents}


def test_the_gates_of_what_the_hub_heard_and_signed_are_in_the_corpus() -> None:
    """A receipt of version 1 says nothing of trust; one of version 2 does."""
    assert {"EndMismatch", "ReceiptInvalid"} <= {name for path, name in BROKEN.items() if VERSION_2 in path.parents}
    assert verify_bundle(VERSION_1 / "good", TRUST).trust is None
    assert verify_bundle(VERSION_2 / "good", TRUST).trust is TrustClass.REPLAYED


def test_the_writer_still_makes_the_golden_values(tmp_path: Path) -> None:
    """The same steps give the same content root; the bytes of the file may change with HDF5."""
    made = good_bundle(tmp_path, made=drive())

    assert verify_bundle(made, TRUST).content_root == GOOD[VERSION_2 / "good"]


@pytest.mark.parametrize(("name", "reason"), [("ended", EndReason.FINISHED), ("cut", EndReason.HOST_LOST)])
def test_a_journal_of_an_earlier_release_becomes_an_episode_of_its_version(
    tmp_path: Path, name: str, reason: EndReason
) -> None:
    """Byte for byte what that release itself would have made of it, as far as the values go."""
    journal = Path(shutil.copy(VERSION_1 / "journals" / f"{name}.journal", tmp_path))
    assert read_journal(journal).meta.version == 1

    assert finish(journal, tmp_path / "e.h5") is (name == "ended")

    episode, good = read_episode(tmp_path / "e.h5"), read_episode(VERSION_1 / "good" / "episode.h5")
    assert (episode.meta.version, episode.end.reason) == (1, reason)
    assert {path: array.tobytes() for path, array in episode.arrays.items()} == {
        path: array.tobytes() for path, array in good.arrays.items()
    }
    assert list(episode.commands()) == []
    assert episode.newest_command.tolist() == episode.steps * [-1]
    if name == "ended":
        assert episode.meta_bytes == good.meta_bytes


@pytest.mark.parametrize("version", [2, 0, 3])
def test_a_journal_whose_version_is_not_that_of_its_meta_is_set_aside(tmp_path: Path, version: int) -> None:
    data = bytearray((VERSION_1 / "journals" / "ended.journal").read_bytes())
    data[16:20] = version.to_bytes(4, "little")
    head = 24 + int.from_bytes(data[20:24], "little")
    data[head : head + 4] = zlib.crc32(data[:head]).to_bytes(4, "little")
    (tmp_path / "e.journal").write_bytes(data)

    with pytest.raises(EpisodeError, match="version"):
        read_journal(tmp_path / "e.journal")


def test_an_episode_of_an_earlier_version_is_exported_beside_a_new_one(tmp_path: Path) -> None:
    """Of the same robot and task; the new one has datasets that training has no use for."""
    new = good_bundle(tmp_path, steps=8, joints=2)

    made = export(demonstrations([VERSION_1 / "good", new], action="joint_position"), tmp_path / "demos.hdf5")

    assert (made.demos, made.samples) == (2, 16)
    with h5py.File(made.path) as file:
        first, second = (file[f"data/demo_{number}"] for number in range(2))
        assert set(first) == set(second)
        assert np.array_equal(first["actions"], second["actions"])
        assert np.array_equal(first["obs/ee_pose"], second["obs/ee_pose"])


def test_an_episode_of_an_earlier_version_is_scored_like_the_same_of_a_new_one(tmp_path: Path) -> None:
    new = read_episode(good_bundle(tmp_path, steps=8, joints=2) / "episode.h5")
    old = read_episode(VERSION_1 / "good" / "episode.h5")

    assert score(facts_of(old)).version == FIRST
    assert score(facts_of(new)).version == SECOND
    assert score(facts_of(old)) == score(facts_of(new, FIRST))


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < 1_100_000
