"""Sets that other programs wrote come in as they are, and bad ones are named, without stopping the others."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import h5py
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from armshare.cli.app import cli
from armshare.researcher import checks, scoring
from recorder.dataset import EpisodeDataset
from recorder.export.demonstrations import demonstrations
from recorder.export.errors import UnreadableBundleError
from recorder.file.apart import reader
from recorder.file.episode import read_episode
from recorder.file.journal import write_clean
from recorder.importing import errors
from recorder.importing.apart import Outcome, Said, import_set, opened
from recorder.importing.errors import BrokenEpisodeError, ImportSetError
from recorder.importing.footage import Spool
from recorder.importing.sources import open_set
from recorder.importing.taken import Taken, digest_of
from recorder.proof import manifest as manifests
from recorder.proof.bundle import MANIFEST_FILE, RECEIPT_FILE, SIGNATURES_FILE, hashed
from recorder.proof.refusals import GateError
from recorder.proof.verify import verify_bundle
from tests.recorder.bundles import TRUST, good_bundle, receipt, signed
from tests.recorder.importing.foreign import ROWS, lerobot_folder, older, robomimic_file, state, write_frames

PEER = Path(__file__).parents[3] / ".venv-lerobot" / "bin" / "python"


def imported(path: Path, target: Path) -> list[Outcome]:
    target.mkdir(exist_ok=True)
    with opened(path) as source:
        return list(import_set(source, target, Said(digest_of(path), "test")))


def taken(path: Path, hz: float | None = None) -> Taken:
    """Read its first episode in this process."""
    with closing(Spool(path.parent)) as spool:
        return open_set(path, hz=hz).take(0, spool)


def test_robomimics_arrays_keep_their_names_and_values(tmp_path: Path) -> None:
    path = robomimic_file(tmp_path / "square.hdf5")
    found = imported(path, tmp_path / "in")
    episode = reader().read(found[1].folder / "episode.h5", imported=True)
    with h5py.File(path) as file:
        demo = file["data/demo_1"]
        np.testing.assert_array_equal(episode.observation("object")[:-1], demo["obs/object"])
        np.testing.assert_array_equal(episode.observation("object")[-1], demo["next_obs/object"][-1])
        np.testing.assert_array_equal(episode.arrays["imported/action"], demo["actions"])
    origin = episode.meta.origin
    assert origin is not None
    assert (origin.times, origin.final, origin.action.name) == ("rate", True, "source")
    assert "time/t_observed_mono_ns" not in origin.values
    assert origin.values["cameras/agentview/bytes"] == "obs/agentview_image"
    assert episode.end.success is None
    assert np.diff(episode.t_observed_ns).tolist() == [50_000_000] * ROWS


def test_lerobots_arrays_keep_their_units_and_the_actions_are_not_scaled(tmp_path: Path) -> None:
    found = imported(lerobot_folder(tmp_path / "so101"), tmp_path / "in")
    data = EpisodeDataset(tmp_path / "in", action="source")
    np.testing.assert_array_equal(data.episode(1)["action"], state(3)[ROWS : 2 * ROWS])
    np.testing.assert_array_equal(data.episode(1)["observation.state"], state(3)[ROWS : 2 * ROWS])
    assert data.action_space.names == tuple(f"j{n}.pos" for n in range(6))
    assert not data.action_space.bounded
    assert data[0]["task"] == "Put it in the bin."
    assert data.meta.spec.observation[0].unit == "as the source says"
    origin = data.meta.origin
    assert origin is not None
    assert origin.times == "rate"
    report = scoring.report_or_why_not(found[0].folder)
    assert (report["score"], report["vector"], report["unable"]) == (None, {}, None)


def test_the_same_set_in_lerobots_version_before_comes_in_the_same(tmp_path: Path) -> None:
    new, old = lerobot_folder(tmp_path / "new"), older(lerobot_folder(tmp_path / "old", version="v2.1"))
    for one, other in zip(imported(new, tmp_path / "in"), imported(old, tmp_path / "in"), strict=True):
        assert (one.error, other.error) == (None, None)
        a, b = (reader().read(each.folder / "episode.h5", imported=True) for each in (one, other))
        assert a.meta.task == b.meta.task
        assert a.arrays.keys() == b.arrays.keys()
        for path, array in a.arrays.items():
            np.testing.assert_array_equal(array, b.arrays[path])


def test_a_signed_import_is_refused_whoever_signed_it(tmp_path: Path) -> None:
    """A valid grant and everyone's signatures, the hub's too, do not make an import an episode."""
    back = imported(robomimic_file(tmp_path / "set.hdf5"), tmp_path / "in")[0].folder
    origin = reader().read(back / "episode.h5", imported=True).meta.origin
    assert origin is not None
    bundle = good_bundle(tmp_path)
    verify_bundle(bundle, TRUST)
    ours = read_episode(bundle / "episode.h5")
    meta = msgspec.structs.replace(ours.meta, imported=origin)
    action = np.zeros((ours.steps, len(origin.action.names)))
    write_clean(bundle / "episode.h5", meta, {**ours.arrays, "imported/action": action})
    episode = reader().read(bundle / "episode.h5", imported=True)
    size, sha256 = hashed(bundle / "episode.h5")
    assert size is not None
    assert sha256 is not None
    made = manifests.of_episode(
        episode,
        size=size,
        sha256=sha256,
        root=manifests.root_hex(episode),
        previous="0x" + 64 * "0",
        software="a cheat's",
    )
    data = made.encode()
    (bundle / MANIFEST_FILE).write_bytes(data)
    (bundle / SIGNATURES_FILE).write_bytes(signed(data).encode())
    (bundle / RECEIPT_FILE).write_bytes(receipt(data))
    with pytest.raises(GateError, match="unsigned: it was imported from"):
        verify_bundle(bundle, TRUST)
    assert checks.refused(checks.check(bundle, None, replay=False, score=False))
    with pytest.raises(UnreadableBundleError, match="unsigned: it was imported from"):
        EpisodeDataset(bundle, action="source")
    with pytest.raises(UnreadableBundleError, match="unsigned: it was imported from"):
        demonstrations([bundle], action="source", unverified=True)


def _without_frames(path: Path) -> None:
    (path / "data/chunk-000/file-000.parquet").unlink()


def _linked_frames(path: Path) -> None:
    file = path / "data/chunk-000/file-000.parquet"
    file.rename(path.parent / "elsewhere.parquet")
    file.symlink_to(path.parent / "elsewhere.parquet")


def _linked_folder(path: Path) -> None:
    (path / "data").rename(path.parent / "elsewhere")
    (path / "data").symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [(_without_frames, "MissingPartError"), (_linked_frames, "OutsideError"), (_linked_folder, "OutsideError")],
)
def test_a_missing_table_or_a_link_out_of_the_set_is_named(
    tmp_path: Path, spoil: Callable[[Path], None], expected: str
) -> None:
    path = lerobot_folder(tmp_path / "set")
    spoil(path)
    with pytest.raises(BrokenEpisodeError) as caught:
        taken(path)
    assert type(caught.value).__name__ == expected


def _edit(path: Path, change: Callable[[h5py.Group], None]) -> None:
    with h5py.File(path, "r+") as file:
        change(file["data/demo_1"])


def _replace(name: str, values: object) -> Callable[[h5py.Group], None]:
    def change(demo: h5py.Group) -> None:
        del demo[name]
        demo[name] = values

    return change


def _bomb(demo: h5py.Group) -> None:
    del demo["actions"]
    demo.create_dataset("actions", (1 << 40, 7), "f8", chunks=(1024, 7))


def _linked(demo: h5py.Group) -> None:
    del demo["actions"]
    demo["actions"] = h5py.ExternalLink("/etc/hostname", "/data")


def _soft(demo: h5py.Group) -> None:
    del demo["actions"]
    demo["actions"] = h5py.SoftLink("/data/demo_0/actions")


def _external(demo: h5py.Group) -> None:
    del demo["actions"]
    demo.create_dataset("actions", (ROWS, 7), "f8", external=[("/etc/passwd", 0, ROWS * 7 * 8)])


def _one_frame(demo: h5py.Group) -> None:
    for name in ("actions", "obs/object", "obs/robot0_eef_pos", "next_obs/object", "next_obs/robot0_eef_pos"):
        values = demo[name][:1]
        _replace(name, values)(demo)


def _wide(demo: h5py.Group) -> None:
    _replace("obs/object", np.zeros((ROWS, 5000)))(demo)
    _replace("next_obs/object", np.zeros((ROWS, 5000)))(demo)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda demo: demo.__delitem__("actions"), errors.MissingPartError),
        (lambda demo: demo.__delitem__("obs"), errors.MissingPartError),
        (_replace("actions", np.zeros((ROWS + 1, 7))), errors.LengthsDisagreeError),
        (_replace("actions", np.zeros(ROWS)), errors.LengthsDisagreeError),
        (_replace("actions", np.full((ROWS, 7), np.nan)), errors.NotFiniteError),
        (_replace("obs/object", np.full((ROWS, 10), np.inf)), errors.NotFiniteError),
        (_replace("actions", np.full((ROWS, 7), b"rm", "S2")), errors.ForbiddenPartError),
        (_one_frame, errors.TooShortError),
        (_bomb, errors.TooMuchError),
        (_linked, errors.OutsideError),
        (_soft, errors.OutsideError),
        (_external, errors.OutsideError),
        (_wide, errors.ClaimError),
    ],
)
def test_a_broken_demonstration_is_named_and_the_others_are_imported(
    tmp_path: Path, spoil: Callable[[h5py.Group], None], expected: type[BrokenEpisodeError]
) -> None:
    path = robomimic_file(tmp_path / "set.hdf5")
    _edit(path, spoil)
    found = imported(path, tmp_path / "in")
    assert [type(one.error) for one in found] == [type(None), expected, type(None)]
    assert [one.made for one in found] == [True, False, True]
    assert sorted(one.name for one in (tmp_path / "in").iterdir()) == [found[0].folder.name, found[2].folder.name]


def _entries(path: Path, **values: object) -> None:
    file = path / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(file).to_pylist()
    rows[1] |= values
    pq.write_table(pa.Table.from_pylist(rows), file)


def _nan(path: Path) -> None:
    values = state(3)
    values[ROWS + 2, 3] = np.nan
    write_frames(path, values)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda path: _entries(path, length=ROWS - 1), errors.LengthsDisagreeError),
        (lambda path: _entries(path, length=1 << 40), errors.TooMuchError),
        (lambda path: _entries(path, **{"data/file_index": 7}), errors.MissingPartError),
        (_nan, errors.NotFiniteError),
    ],
)
def test_a_broken_episode_is_named_and_the_others_are_imported(
    tmp_path: Path, spoil: Callable[[Path], None], expected: type[BrokenEpisodeError]
) -> None:
    path = lerobot_folder(tmp_path / "set")
    spoil(path)
    found = imported(path, tmp_path / "in")
    assert [type(one.error) for one in found] == [type(None), expected, type(None)]


def test_a_width_that_info_json_does_not_say_is_named(tmp_path: Path) -> None:
    path = lerobot_folder(tmp_path / "set")
    write_frames(path, state(3)[:, :5])
    assert {type(one.error) for one in imported(path, tmp_path / "in")} == {errors.LengthsDisagreeError}


def test_what_is_no_data_set_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.hdf5").write_text("not HDF5")
    with h5py.File(tmp_path / "bare.hdf5", "w") as file:
        file.create_group("data")
    (tmp_path / "linked.hdf5").symlink_to(robomimic_file(tmp_path / "good.hdf5"))
    for name in ("empty", "nothing", "text.hdf5", "bare.hdf5", "linked.hdf5"):
        with pytest.raises(errors.NotADataSetError, match=name):
            open_set(tmp_path / name)
    with pytest.raises(errors.NotADataSetError, match="no format"):
        open_set(tmp_path / "good.hdf5", "zarr")


def test_an_unknown_version_and_a_missing_rate_are_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.SetVersionError, match=r"v9\.9"):
        open_set(lerobot_folder(tmp_path / "new", version="v9.9"))
    path = robomimic_file(tmp_path / "untimed.hdf5", hz=None)
    with pytest.raises(errors.NoRateError, match="--hz"):
        open_set(path)
    assert taken(path, 10.0).hz == 10.0


def test_another_episode_in_the_way_is_never_overwritten(tmp_path: Path) -> None:
    path = robomimic_file(tmp_path / "set.hdf5")
    first, second, _ = imported(path, tmp_path / "in")
    shutil.rmtree(second.folder)
    shutil.copytree(first.folder, second.folder)
    before = (second.folder / "episode.h5").read_bytes()
    with pytest.raises(ImportSetError, match="holds another episode"):
        imported(path, tmp_path / "in")
    assert (second.folder / "episode.h5").read_bytes() == before


def test_the_command_says_what_became_of_each_and_goes_on(tmp_path: Path) -> None:
    path = robomimic_file(tmp_path / "set.hdf5")
    _edit(path, _one_frame)
    ran = CliRunner().invoke(cli, ["import", str(path), "--to", str(tmp_path / "in"), "--json"])
    assert ran.exit_code == 1
    report = json.loads(ran.stdout)
    assert (report["imported"], report["there"], report["broken"]) == (2, 0, 1)
    assert report["episodes"][1]["error"] == "TooShortError"
    again = CliRunner().invoke(cli, ["import", str(path), "--to", str(tmp_path / "in")])
    assert "2 there already, 1 broken of 3 episodes" in " ".join(again.stdout.split())
    folder = tmp_path / "in" / report["episodes"][0]["episode"]
    checked = CliRunner().invoke(cli, ["verify", str(folder)])
    assert checked.exit_code == 2
    assert "Imported" in checked.stdout
    replayed = CliRunner().invoke(cli, ["score", str(folder), "--json"])
    assert json.loads(replayed.stdout)[0]["score"] is None


_WRITE = """
import sys, numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
features = {
    "observation.state": {"dtype": "float32", "shape": (4,), "names": ["a", "b", "c", "d"]},
    "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
}
made = LeRobotDataset.create("lab/set", fps=10, features=features, root=sys.argv[1], use_videos=False)
for episode in range(2):
    for frame in range(5 + episode):
        row = np.arange(4, dtype=np.float32) + 10 * episode + frame
        made.add_frame({"observation.state": row, "action": row[:2] * 100, "task": f"Task {episode}."})
    made.save_episode()
made.finalize()
"""


@pytest.mark.lerobot
def test_a_set_that_lerobots_own_library_wrote(tmp_path: Path) -> None:
    subprocess.run([PEER, "-c", _WRITE, str(tmp_path / "set")], check=True, capture_output=True)
    found = imported(tmp_path / "set", tmp_path / "in")
    assert [one.error for one in found] == [None, None]
    episode = reader().read(found[1].folder / "episode.h5", imported=True)
    assert episode.steps == 6
    rows = np.arange(4) + 10 + np.arange(6)[:, None]
    np.testing.assert_array_equal(episode.observation("state")[:-1], rows)
    np.testing.assert_array_equal(episode.arrays["imported/action"], rows[:, :2] * 100)
    assert episode.meta.task.instruction == "Task 1."


def test_a_table_that_declares_more_than_is_read_is_refused_before_it_is(tmp_path: Path) -> None:
    path = lerobot_folder(tmp_path / "set")
    count = 1 << 26
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([1.5]))
    table = pa.table({"action": same, "episode_index": same, "observation.state": same})
    pq.write_table(table, path / "data/chunk-000/file-000.parquet")
    assert (path / "data/chunk-000/file-000.parquet").stat().st_size < 1 << 20
    with pytest.raises(errors.TooMuchError, match="declares"):
        taken(path)
