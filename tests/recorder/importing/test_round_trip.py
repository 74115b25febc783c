"""What our own exports wrote comes back, as unsigned episodes that say so."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from armshare.researcher import checks, scoring
from armshare.researcher.unsigned import scored
from recorder.dataset import EpisodeDataset
from recorder.export import lerobot, robomimic
from recorder.export.demonstrations import demonstrations
from recorder.export.errors import ActionError, UnverifiedError
from recorder.file.apart import reader
from recorder.file.episode import Episode, ImportedEpisodeError, read_episode
from recorder.importing.apart import Outcome, Said, import_set, opened
from recorder.importing.errors import ClaimError
from recorder.importing.taken import digest_of
from recorder.proof.bundle import MANIFEST_FILE, RECEIPT_FILE, SIGNATURES_FILE
from recorder.proof.case import Trust
from recorder.proof.refusals import GateError
from recorder.proof.verify import verify_bundle
from rewards.score.score import score_of
from tests.recorder.bundles import TRUST, good_bundle

STEPS = (24, 31)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [good_bundle(folder, episode=f"e{n}", steps=steps, seed=n, reach=0.3) for n, steps in enumerate(STEPS)]


def imported(path: Path, target: Path) -> list[Outcome]:
    target.mkdir(exist_ok=True)
    with opened(path) as source:
        return list(import_set(source, target, Said(digest_of(path), "test")))


def exported(bundles: list[Path], folder: Path, form: str, action: str = "joint_position") -> Path:
    found = demonstrations(bundles, action=action, driven_only=False, unverified=True)  # type: ignore[arg-type]  # a name
    target = folder / ("set.hdf5" if form == "robomimic" else "set")
    (robomimic if form == "robomimic" else lerobot).export(found, target)
    return target


def read(outcome: Outcome) -> Episode:
    assert outcome.error is None, outcome.error
    return reader().read(outcome.folder / "episode.h5", imported=True)


def test_robomimic_gives_back_the_arrays_the_clock_and_the_robot(bundles: list[Path], tmp_path: Path) -> None:
    found = imported(exported(bundles, tmp_path, "robomimic"), tmp_path / "in")
    for bundle, outcome in zip(bundles, found, strict=True):
        ours, back = read_episode(bundle / "episode.h5"), read(outcome)
        assert back.meta.spec == ours.meta.spec
        assert back.meta.task == ours.meta.task
        assert back.end.success is ours.end.success
        for path in (*(f"observation/{one}" for one in ours.observations), "success", "progress", "stage"):
            np.testing.assert_array_equal(back.arrays[path], ours.arrays[path], err_msg=path)
        np.testing.assert_array_equal(back.applied_joint_position, ours.applied_joint_position)
        np.testing.assert_array_equal(back.t_observed_ns[:-1], ours.t_observed_ns[:-1])
        assert back.meta.origin is not None
        assert (back.meta.origin.times, back.meta.origin.final) == ("clock", True)
        assert back.meta.origin.action.name == "joint_position"


def test_lerobot_gives_back_the_arrays_as_the_float32_that_they_were_written_in(
    bundles: list[Path], tmp_path: Path
) -> None:
    found = imported(exported(bundles, tmp_path, "lerobot"), tmp_path / "in")
    for bundle, outcome in zip(bundles, found, strict=True):
        ours, back = read_episode(bundle / "episode.h5"), read(outcome)
        for name, array in ours.observations.items():
            np.testing.assert_array_equal(back.observation(name)[:-1], array[:-1].astype(np.float32))
            assert np.isnan(back.observation(name)[-1]).all()
        np.testing.assert_allclose(back.applied_joint_position, ours.applied_joint_position, atol=1e-6)
        np.testing.assert_array_equal(back.t_observed_ns[:-1], ours.t_observed_ns[:-1])
        assert back.meta.origin is not None
        assert back.meta.origin.values["applied/joint_position"] == "action, scaled to spec's limits"
        assert not back.meta.origin.final


def test_what_the_source_does_not_say_is_unknown_and_not_named(bundles: list[Path], tmp_path: Path) -> None:
    found = imported(exported(bundles, tmp_path, "lerobot", "joint_delta"), tmp_path / "in")
    back = read(found[0])
    assert back.meta.origin is not None
    assert not {"applied/joint_position", "time/t_wall_ns"} & back.meta.origin.values.keys()
    assert np.isnan(back.applied_joint_position).all()
    assert back.meta.operator.address == back.meta.robot.address == "0x" + 40 * "0"
    assert back.meta.grant.signature == ""
    assert not (found[0].folder / SIGNATURES_FILE).exists()
    assert not (found[0].folder / MANIFEST_FILE).exists()


def test_nothing_reads_an_import_unless_it_says_that_imports_will_do(bundles: list[Path], tmp_path: Path) -> None:
    folder = imported(exported(bundles, tmp_path, "robomimic"), tmp_path / "in")[0].folder
    with pytest.raises(ImportedEpisodeError, match="unsigned"):
        reader().read(folder / "episode.h5")
    with pytest.raises(ImportedEpisodeError, match="unsigned"):
        read_episode(folder / "episode.h5")


def test_documents_of_a_signed_episode_beside_it_do_not_make_it_one(bundles: list[Path], tmp_path: Path) -> None:
    folder = imported(exported(bundles, tmp_path, "robomimic"), tmp_path / "in")[0].folder
    with pytest.raises(GateError):
        verify_bundle(folder, TRUST)
    for name in (MANIFEST_FILE, SIGNATURES_FILE, RECEIPT_FILE):
        (folder / name).write_bytes((bundles[0] / name).read_bytes())
    with pytest.raises(GateError):
        verify_bundle(folder, TRUST)
    with pytest.raises(GateError):
        verify_bundle(folder, Trust(TRUST.domain))
    assert checks.refused(checks.check(folder, None, replay=False, score=False))


def test_verify_calls_it_imported_and_unsigned_and_not_false(bundles: list[Path], tmp_path: Path) -> None:
    folder = imported(exported(bundles, tmp_path, "robomimic"), tmp_path / "in")[0].folder
    report = checks.check(folder, None, replay=True, score=False)
    assert (report["unable"], report["refused"]) == ("Imported", None)
    assert "unsigned" in report["message"]
    assert str(tmp_path / "set.hdf5") in report["message"]


@pytest.mark.parametrize("form", ["robomimic", "lerobot"])
def test_the_data_set_reads_imports_beside_signed_episodes(bundles: list[Path], tmp_path: Path, form: str) -> None:
    found = imported(exported(bundles, tmp_path, form), tmp_path / "in")
    data = EpisodeDataset([*bundles, *(one.folder for one in found)], action="joint_position")
    assert len(data) == 2 * sum(STEPS)
    ours, back = data.episode(0), data.episode(2)
    np.testing.assert_array_equal(ours["action"], back["action"])
    np.testing.assert_array_equal(ours["observation.joint_position"], back["observation.joint_position"])
    facts = data.episodes[2].facts
    assert (facts["trust"], facts["operator"], facts["imported_index"]) == ("", "", 0)
    assert len(EpisodeDataset(tmp_path / "in", action="source")) == sum(STEPS)
    with pytest.raises(ActionError, match="joint_position"):
        EpisodeDataset(tmp_path / "in", action="ee_delta")


@pytest.mark.parametrize("form", ["robomimic", "lerobot"])
def test_an_export_of_an_import_needs_to_be_asked_for_and_says_where_it_is_from(
    bundles: list[Path], tmp_path: Path, form: str
) -> None:
    source = exported(bundles, tmp_path, form)
    folders = [one.folder for one in imported(source, tmp_path / "in")]
    with pytest.raises(UnverifiedError, match="--unverified"):
        demonstrations(folders, action="source")
    again = demonstrations([*folders, bundles[0]], action="joint_position", unverified=True)
    assert again.imported == 2
    robomimic.export(again, tmp_path / "again.hdf5")
    with h5py.File(tmp_path / "again.hdf5") as file:
        said = dict(file["data/demo_1"].attrs)
        assert (said["imported_from"], said["imported_index"]) == (str(source.resolve()), 1)
        assert (said["trust"], said["imported_times"]) == ("", "clock")
        assert "sha256" not in said
        assert "imported_from" not in file["data/demo_2"].attrs
        assert np.isfinite(file["data/demo_0/next_obs/joint_position"][:]).all()
    lerobot.export(again, tmp_path / "again")
    twice = imported(tmp_path / "again", tmp_path / "twice")
    assert [read(one).steps for one in twice] == [*STEPS, STEPS[0]]


def test_a_second_run_leaves_alone_what_is_there_and_goes_on(bundles: list[Path], tmp_path: Path) -> None:
    source, target = exported(bundles, tmp_path, "robomimic"), tmp_path / "in"
    target.mkdir()
    with opened(source) as found:
        run = import_set(found, target, Said(digest_of(source), "test"))
        first = next(run)
        run.close()
    before = (first.folder / "episode.h5").stat()
    second = imported(source, target)
    assert [one.made for one in second] == [False, True]
    assert (first.folder / "episode.h5").stat() == before
    assert sorted(target.iterdir()) == [one.folder for one in second]


@pytest.mark.parametrize("form", ["robomimic", "lerobot"])
def test_a_score_says_what_it_leaves_out(bundles: list[Path], tmp_path: Path, form: str) -> None:
    folder = imported(exported(bundles, tmp_path, form, "joint_delta"), tmp_path / "in")[0].folder
    report = scoring.report_or_why_not(folder)
    assert report["unable"] is None
    assert report["imported"]["index"] == 0
    if form == "lerobot":
        assert (report["score"], report["vector"]) == (None, {"success": 1.0})
        assert "what the robot was given" in report["left_out"]["control"]
    assert "imported, unsigned" in "\n".join(scoring.lines(report, explain=False))
    assert not report["pays"]


@pytest.mark.parametrize("form", ["robomimic", "lerobot"])
def test_a_drive_that_comes_back_has_nearly_the_same_parts(tmp_path: Path, form: str) -> None:
    """By rules that need no reference set, of a shaky drive that is far from perfect in several parts."""
    bundle = good_bundle(tmp_path, episode="shaky", steps=80, shake_rad=0.02, idle=15)
    ours = score_of(read_episode(bundle / "episode.h5"), "2")
    back, why = scored(read(imported(exported([bundle], tmp_path, form), tmp_path / "in")[0]), "2")
    assert back is not None, why
    assert min(ours.vector.values()) < 0.9
    assert back.vector == pytest.approx(ours.vector, abs=0.03)


def test_an_import_without_a_clock_is_exported_without_one(bundles: list[Path], tmp_path: Path) -> None:
    source = exported(bundles, tmp_path, "robomimic")
    with h5py.File(source, "r+") as file:
        for demo in file["data"].values():
            del demo["timestamps"]
    folders = [one.folder for one in imported(source, tmp_path / "in")]
    again = demonstrations(folders, action="source", unverified=True)
    lerobot.export(again, tmp_path / "again")
    robomimic.export(again, tmp_path / "again.hdf5")
    table = pq.read_table(tmp_path / "again/data/chunk-000/file-000.parquet")
    for name in ("t_observed_mono_ns", "t_sent_mono_ns", "t_wall_ns"):
        assert set(table[name].to_pylist()) == {-1}
    with h5py.File(tmp_path / "again.hdf5") as file:
        assert "timestamps" not in file["data/demo_0"]
        assert file["data/demo_0"].attrs["imported_times"] == "rate"
    back = read(imported(tmp_path / "again", tmp_path / "back")[0])
    assert back.meta.origin is not None
    assert back.meta.origin.times == "rate"


def test_a_set_that_claims_a_robot_with_other_arrays_is_named(bundles: list[Path], tmp_path: Path) -> None:
    source = exported(bundles, tmp_path, "robomimic")
    with h5py.File(source, "r+") as file:
        for group in ("obs", "next_obs"):
            del file[f"data/demo_1/{group}/cube_pose"]
    first, second = imported(source, tmp_path / "in")
    assert first.error is None
    assert isinstance(second.error, ClaimError)
    assert "cube_pose" in str(second.error)
