"""A version's splits are in what is written of it, in the form that each format has for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import msgspec
import pyarrow.parquet as pq
import pytest

from recorder.export.formats import FORMATS
from rewards.datasets.exporting import write_version
from rewards.datasets.version import DatasetVersion, Split
from tests.recorder.bundles import TRUST
from tests.recorder.export import made
from tests.rewards.datasets.sets import ORDER, version

MIXED = (Split.TEST, Split.TRAIN, Split.VALIDATION)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return made.bundles(tmp_path_factory.mktemp("bundles"))


def split(bundles: Sequence[Path], splits: Sequence[Split]) -> DatasetVersion:
    """Return a version whose episodes are in these splits."""
    found = version(bundles)
    members = [msgspec.structs.replace(one, split=to) for one, to in zip(found.episodes, splits, strict=True)]
    return msgspec.structs.replace(found, episodes=tuple(members))


def written(one: DatasetVersion, bundles: Sequence[Path], target: Path, form: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rewards.datasets.exporting.drawn", made.draw)
        watch = lambda what, done: None  # noqa: E731
        write_version(one, bundles, target, FORMATS[form], ORDER, trust=TRUST, watch=watch)
    return target


def test_lerobot_has_each_split_as_a_range_of_episodes(bundles: list[Path], tmp_path: Path) -> None:
    one = split(bundles, MIXED)
    folder = written(one, bundles, tmp_path / "set", "lerobot")
    info = json.loads((folder / "meta/info.json").read_text())
    assert info["splits"] == {"train": "0:1", "validation": "1:2", "test": "2:3"}
    table = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet")
    assert table["split"].to_pylist() == ["train", "validation", "test"]
    assert table["episode"].to_pylist() == [one.episodes[place].episode for place in (1, 2, 0)]


def test_a_split_that_is_empty_is_not_named(bundles: list[Path], tmp_path: Path) -> None:
    folder = written(split(bundles, [Split.TEST] * 3), bundles, tmp_path / "set", "lerobot")
    assert json.loads((folder / "meta/info.json").read_text())["splits"] == {"test": "0:3"}


def test_robomimic_has_each_split_as_a_mask(bundles: list[Path], tmp_path: Path) -> None:
    with h5py.File(written(split(bundles, MIXED), bundles, tmp_path / "set.hdf5", "robomimic")) as file:
        masks = {name: [one.decode() for one in file[f"mask/{name}"]] for name in ("train", "valid", "test")}
    assert masks == {"train": ["demo_0"], "valid": ["demo_1"], "test": ["demo_2"]}
