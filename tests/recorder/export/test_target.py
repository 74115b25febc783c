"""Where exports go: whole or not at all, whatever the disk does."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.export import act, lance, lerobot, mcap, robomimic
from recorder.export.demonstrations import Demonstrations, demonstrations
from recorder.export.errors import TargetError
from recorder.export.target import whole_file, whole_folder
from tests.recorder.bundles import good_bundle
from tests.recorder.disk import Disk
from tests.recorder.export.drawn import drawn

FOLDERS = {"act": act.export, "mcap": mcap.export, "lerobot": lerobot.export, "lance": lance.export}
FORMATS = FOLDERS | {"robomimic": robomimic.export}
WRITES = """
import importlib, resource, shutil, sys
from pathlib import Path
from recorder.export.demonstrations import demonstrations
from recorder.export.errors import ExportError
from tests.recorder.export.drawn import drawn
folder, names, *bundles = sys.argv[1:]
found = demonstrations(
    [Path(one) for one in bundles], action="joint_position", cameras=["front"], size=(64, 48), draw=drawn()
)
for name in names.split(","):
    export, target = importlib.import_module("recorder.export." + name).export, Path(folder) / name
    export(found, target)
    files = [path for path in (target, *target.rglob("*")) if path.is_file()]
    largest = max(path.stat().st_size for path in files)
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    for most in (100, largest // 2, largest - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        try:
            export(found, target)
            print(name, most, "was written")
        except ExportError as error:
            print(type(error).__name__ + ":", error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Demonstrations:
    folder = tmp_path_factory.mktemp("bundles")
    bundles = [good_bundle(folder, episode=f"e{number}", steps=8, seed=number) for number in range(2)]
    return demonstrations(bundles, action="joint_position", cameras=["front"], size=(64, 48), draw=drawn())


@pytest.mark.parametrize(
    ("name", "writes"), [(name, writes) for name in FORMATS for writes in (0, 1, 3) if writes < 2 or name in FOLDERS]
)
def test_a_full_disk_is_named_and_leaves_nothing(
    chosen: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, writes: int
) -> None:
    disk = Disk(monkeypatch)
    disk.writes_left = writes
    with pytest.raises(TargetError, match=r"out.* cannot be written: No space left on device"):
        FORMATS[name](chosen, tmp_path / "out")
    assert not list(tmp_path.iterdir())
    disk.frees()
    FORMATS[name](chosen, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_exists_keeps_what_is_in_it(chosen: Demonstrations, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("kept")
    with pytest.raises(TargetError, match="exists already"):
        FORMATS[name](chosen, tmp_path / "out")
    with pytest.raises(TargetError, match="in one that exists"):
        FORMATS[name](chosen, tmp_path / "nowhere/out")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["out", "out/mine"]


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_an_error_on_the_way_removes_what_was_written(tmp_path: Path, whole) -> None:
    def fill(error: Exception | None = None) -> None:
        with whole(tmp_path / "out") as place:
            (place / "part" if place.is_dir() else place).write_text("half")
            assert not (tmp_path / "out").exists()
            if error is not None:
                raise error

    with pytest.raises(KeyError):
        fill(KeyError())
    with pytest.raises(TargetError, match="No space"):
        fill(OSError(errno.ENOSPC, "No space left on device"))
    assert not list(tmp_path.iterdir())
    fill()
    assert (tmp_path / "out").exists()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_replaces_one_that_is_there_but_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    with whole_file(tmp_path / "out") as place:
        place.write_text("new")
    assert (tmp_path / "out").read_text() == "new"
    for target in (tmp_path, tmp_path / "nowhere/out"):
        with pytest.raises(TargetError, match="in a folder that exists"), whole_file(target):
            pass


def test_a_disk_that_takes_no_more_bytes_is_named_and_leaves_nothing(chosen: Demonstrations, tmp_path: Path) -> None:
    """In a process of its own: so what HDF5 does about it when the process ends is seen as well."""
    command = [sys.executable, "-c", WRITES, str(tmp_path), ",".join(FORMATS), *map(str, chosen.bundles)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said = "TargetError: {} cannot be written: File too large. Nothing was.\n"
    assert done.stdout == "".join(3 * said.format(tmp_path / name) for name in FORMATS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_name_that_no_file_can_have_is_refused_in_words(tmp_path: Path, whole) -> None:
    (tmp_path / "file").write_text("")
    for target in (tmp_path / ("x" * 300), tmp_path / ("x" * 250), tmp_path / "file" / "out"):
        with pytest.raises(TargetError, match="cannot be written"), whole(target) as place:
            place.write_text("never")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
