"""The golden corpus: a bundle of format 1 that every later version must read, and broken ones that it must refuse."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from recorder.file.episode import UnreadableFileError, read_episode
from recorder.proof import refusals
from recorder.proof.bundle import opened, read_bundle
from recorder.proof.verify import verify_bundle
from tests.recorder.bundles import TRUST
from tests.recorder.make_golden import BROKEN, GOLDEN


def test_the_good_bundle_still_passes_every_gate() -> None:
    report = verify_bundle(GOLDEN / "good", TRUST)

    assert report.episode == "episode-1"
    assert report.content_root == "0x71e75ec2dc67ec50511a18f5169af22c7807419a6f98f19962a3558a7676494a"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_bundle_is_refused_by_the_name_of_its_folder(tmp_path: Path, name: str) -> None:
    bundle = tmp_path / name
    shutil.copytree(GOLDEN / name, bundle)
    if not (bundle / "episode.h5").exists():
        shutil.copy(GOLDEN / "good" / "episode.h5", bundle)

    with pytest.raises(getattr(refusals, name)):
        verify_bundle(bundle, TRUST)


def test_a_truncated_episode_is_refused_by_name() -> None:
    with pytest.raises(UnreadableFileError):
        read_episode(GOLDEN / "EpisodeStructureInvalid" / "episode.h5")
    assert isinstance(opened(read_bundle(GOLDEN / "EpisodeStructureInvalid")).episode, UnreadableFileError)


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < 200_000
