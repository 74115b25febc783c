"""A dataset of pictures of which nothing was ever written: HDF5 makes its bytes up, as many as it says it has."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from recorder.file.apart import reader
from recorder.file.episode import ForbiddenStorageError, read_episode

GOOD = Path(__file__).parents[1] / "golden" / "version-2" / "good-seen" / "episode.h5"


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_that_are_not_in_the_file_are_refused_before_any_is_copied(tmp_path: Path, packed: bool) -> None:
    file = Path(shutil.copy(GOOD, tmp_path / "episode.h5"))
    with h5py.File(file, "r+") as opened:
        camera = next(iter(opened["cameras"]))
        del opened[f"cameras/{camera}/bytes"]
        if packed:
            zeros = np.zeros(4 << 20, np.uint8)
            opened.create_dataset(f"cameras/{camera}/bytes", data=zeros, compression="gzip")
        else:
            opened.create_dataset(f"cameras/{camera}/bytes", shape=(4 << 20,), dtype="u1")
    for read in (read_episode, reader().read):
        with pytest.raises(ForbiddenStorageError, match="expected 4194304 bytes, and the file has only"):
            read(file)
