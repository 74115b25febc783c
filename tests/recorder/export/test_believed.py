"""What stands beside an episode's file, and could be changed by whoever hands it on, is not believed over the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import rfc8785

from recorder.dataset import EpisodeDataset
from recorder.dataset.facts import facts_of
from recorder.export.demonstrations import demonstrations
from recorder.export.errors import UnreadableBundleError
from tests.recorder.bundles import TRUST, good_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return good_bundle(tmp_path, episode="mine", steps=12)


def changed(bundle: Path, **said: object) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    (bundle / "manifest.json").write_bytes(rfc8785.dumps(manifest | said))


def test_an_exports_success_is_that_of_the_file(bundle: Path) -> None:
    changed(bundle, success=False)
    (one,) = demonstrations([bundle], action="joint_position", unverified=True)
    assert one.facts["success"] is one.episode.end.success is True


@pytest.mark.parametrize("said", [{"steps": 7}, {"steps": 2**40}, {"success": False}])
def test_a_file_that_is_not_what_its_manifest_says_is_not_read(bundle: Path, said: dict[str, object]) -> None:
    changed(bundle, **said)
    with pytest.raises(UnreadableBundleError, match="are not of one episode"):
        EpisodeDataset([bundle], action="joint_position")[0]


def test_the_receipt_of_another_episode_gives_no_trust(bundle: Path, tmp_path: Path) -> None:
    other = good_bundle(tmp_path, episode="other", steps=12, seed=9)
    assert facts_of(other, TRUST)["trust"] == "replayed"
    shutil.copy(bundle / "receipt.json", other / "receipt.json")
    with pytest.raises(UnreadableBundleError, match="the receipt of another episode"):
        facts_of(other, TRUST)
