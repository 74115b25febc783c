"""The LeRobot export, read back without LeRobot: every rule that its reader and its tools hold a data set to.

`test_lerobot_peer.py` has LeRobot itself read it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recorder.export import lerobot
from recorder.export.demonstrations import Demonstrations
from recorder.export.errors import CameraError, TargetError
from recorder.export.lerobot import export
from recorder.export.lerobot_rows import shown
from recorder.file.episode import Episode
from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.decode import Decoder
from tests.recorder.export import made
from tests.recorder.pictures.encoded import encoded, pictures_of

FRONT = "observation.images.front"
INFO_KEYS = {
    "codebase_version", "robot_type", "total_episodes", "total_frames", "total_tasks", "chunks_size", "fps", "splits",
    "data_files_size_in_mb", "video_files_size_in_mb", "data_path", "video_path", "features",
}  # fmt: skip
STATISTICS = {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}
FPS = 20


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return made.bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def folder(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("lerobot") / "set"
    done = export(made.found(bundles), target)
    assert (done.episodes, done.frames, done.copied, done.encoded) == (3, sum(made.STEPS), 3, 0)
    return target


def info(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "meta/info.json").read_bytes()))


def data(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("data/*/*.parquet")))


def episodes(folder: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist())


def vectors(column: pa.ChunkedArray) -> np.ndarray:
    return np.array(column.to_pylist())


def video(folder: Path, row: dict[str, Any], camera: str = FRONT) -> list[np.ndarray]:
    """Return an episode's pictures the way LeRobot finds them: by time, from where its row says."""
    place = {"video_key": camera} | {name: row[f"videos/{camera}/{name}"] for name in ("chunk_index", "file_index")}
    with av.open(str(folder / info(folder)["video_path"].format(**place))) as file:
        stream = file.streams.video[0]
        assert stream.average_rate == FPS
        frames = {round(frame.time * FPS): frame.to_ndarray(format="rgb24") for frame in file.decode(stream)}
    first, last = (row[f"videos/{camera}/{name}_timestamp"] * FPS for name in ("from", "to"))
    assert last - first == pytest.approx(row["length"])
    return [frames[round(first) + index] for index in range(row["length"])]


def test_info_has_lerobots_keys_and_no_others(folder: Path) -> None:
    found = info(folder)
    assert set(found) == INFO_KEYS, "its reader warns of every other"
    assert (found["codebase_version"], found["fps"]) == ("v3.0", FPS)
    assert isinstance(found["fps"], int)
    assert (found["total_episodes"], found["total_frames"], found["splits"]) == (3, 55, {"train": "0:3"})
    assert not any("/" in name for name in found["features"])


def test_every_feature_is_a_column_of_its_type(folder: Path) -> None:
    found, table = info(folder)["features"], data(folder)
    kept = {name: feature for name, feature in found.items() if feature["dtype"] not in ("video", "language")}
    assert set(table.column_names) == set(kept) | {"language_persistent", "language_events"}
    for name, feature in kept.items():
        kind, one = table.schema.field(name).type, {"float32": "float", "bool": "bool"}.get(feature["dtype"], "int64")
        if feature["shape"] == [1]:
            assert str(kind) == one
            assert feature["names"] is None
        else:
            assert str(kind) == f"fixed_size_list<element: {one}>[{feature['shape'][0]}]"
            assert len(feature["names"]) == feature["shape"][0]


def test_times_and_indices_are_what_its_reader_requires(folder: Path) -> None:
    table = data(folder)
    assert table["index"].to_pylist() == list(range(55))
    frames = [index for steps in made.STEPS for index in range(steps)]
    assert table["frame_index"].to_pylist() == frames
    assert table["episode_index"].to_pylist() == [
        number for number, steps in enumerate(made.STEPS) for _ in range(steps)
    ]
    np.testing.assert_array_equal(table["timestamp"].to_numpy(), (np.array(frames) / FPS).astype(np.float32))
    at = 0
    for row in episodes(folder):
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (at, at + row["length"])
        at = row["dataset_to_index"]


def test_each_episode_is_one_row_group(folder: Path) -> None:
    file = pq.ParquetFile(folder / "data/chunk-000/file-000.parquet")
    assert [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)] == list(made.STEPS)


def test_values_are_the_episodes(folder: Path, bundles: list[Path]) -> None:
    table, at = data(folder), 0
    features = info(folder)["features"]
    for one in made.found(bundles):
        part, episode = table.slice(at, one.episode.steps), one.episode
        at += one.episode.steps
        np.testing.assert_array_equal(vectors(part["action"]).astype(np.float32), one.actions)
        state = vectors(part["observation.state"])
        names = features["observation.state"]["names"]
        for joint in range(3):
            place = names.index(f"joint_position.joint_{joint + 1}")
            np.testing.assert_allclose(state[:, place], episode.observation("joint_position")[:-1, joint], atol=1e-6)
        around = vectors(part["observation.environment_state"])
        np.testing.assert_allclose(around, episode.observation("cube_pose")[:-1], atol=1e-6)
        assert part["t_observed_mono_ns"].to_pylist() == episode.t_observed_ns[:-1].tolist()
        assert part["t_sent_mono_ns"].to_pylist() == episode.t_sent_ns.tolist()
        assert part["next.success"].to_pylist() == (episode.arrays["success"][1:] == 1).tolist()
        assert part["next.done"].to_pylist() == [False] * (episode.steps - 1) + [True]
        np.testing.assert_allclose(part["next.reward"].to_numpy(), np.diff(episode.arrays["progress"]), atol=1e-6)
        assert sum(part["next.reward"].to_pylist()) == pytest.approx(1.0)
        assert part["driven"].to_pylist() == [True] * episode.steps
        assert part["intervention"].to_pylist() == [False] * episode.steps


def test_pictures_are_at_the_times_that_the_rows_say(folder: Path, bundles: list[Path]) -> None:
    for one, row in zip(made.found(bundles), episodes(folder), strict=True):
        decoder = Decoder(one.pictures["front"])
        for index, pixels in enumerate(video(folder, row)):
            assert np.array_equal(pixels, decoder.frame(index)), "copied pictures are the same to the last bit"


def test_what_is_said_of_an_episode_is_in_columns(folder: Path, bundles: list[Path]) -> None:
    for one, row in zip(made.found(bundles), episodes(folder), strict=True):
        expected = {"success": True, "trust": "replayed", "score_smoothness": 0.9, "digest": one.digest}
        assert {name: row[name] for name in expected} == expected
        assert row["score"] == pytest.approx(0.5 + one.number / 10)
        assert (row["operator"], row["robot"]) == (one.manifest.operator.address, one.manifest.robot.address)
        assert (row["seed"], row["episode"], row["tasks"]) == (one.number, f"e{one.number}", ["Lift the cube."])


def test_statistics_are_in_both_places_and_agree_with_the_values(folder: Path) -> None:
    together = json.loads((folder / "meta/stats.json").read_bytes())
    numbers = {name for name, feature in info(folder)["features"].items() if feature["dtype"] != "language"}
    assert set(together) == numbers
    table = data(folder)
    for name in numbers - {FRONT}:
        values, found = vectors(table[name]).reshape(55, -1).astype(float), together[name]
        assert set(found) == STATISTICS
        assert found["count"] == [55]
        for statistic, expected in (("min", values.min(0)), ("max", values.max(0)), ("mean", values.mean(0))):
            np.testing.assert_allclose(found[statistic], expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found["std"], values.std(0), rtol=1e-5, atol=max(1e-6, 1e-9 * abs(values).max()))
    row = episodes(folder)[1]
    for name in numbers:
        assert {key.rpartition("/")[2] for key in row if key.startswith(f"stats/{name}/")} == STATISTICS
    own = vectors(table.slice(12, 25)["action"])
    np.testing.assert_allclose(row["stats/action/mean"], own.mean(0), atol=1e-6)
    np.testing.assert_allclose(row["stats/action/q50"], np.quantile(own, 0.5, axis=0), atol=1e-6)


def test_statistics_of_pictures_are_of_colours_in_zero_to_one(folder: Path, bundles: list[Path]) -> None:
    one, row = next(iter(made.found(bundles))), episodes(folder)[0]
    decoder = Decoder(one.pictures["front"])
    keys = np.stack([decoder.frame(index) for index in range(0, one.episode.steps, 4)]) / 255.0
    for name, expected in (
        ("mean", keys.mean((0, 1, 2))),
        ("std", keys.std((0, 1, 2))),
        ("min", keys.min((0, 1, 2))),
        ("q90", np.quantile(keys.reshape(-1, 3), 0.9, axis=0)),
    ):
        found = np.array(row[f"stats/{FRONT}/{name}"])
        assert found.shape == (3, 1, 1)
        np.testing.assert_allclose(found[:, 0, 0], expected, atol=0.003)


def test_tasks_have_the_index_that_pandas_reads(folder: Path) -> None:
    table = pq.read_table(folder / "meta/tasks.parquet")
    assert table.to_pylist() == [{"task_index": 0, "task": "Lift the cube."}]
    assert json.loads(table.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_progress_is_in_the_file_that_the_visualizer_draws(folder: Path, bundles: list[Path]) -> None:
    found = pq.read_table(folder / "sarm_progress.parquet")
    assert found.column_names == ["index", "episode_index", "frame_index", "progress_dense", "progress_sparse"]
    assert found["index"].to_pylist() == list(range(55))
    expected = [one.episode.arrays["progress"][:-1] for one in made.found(bundles)]
    np.testing.assert_allclose(found["progress_dense"].to_numpy(), np.concatenate(expected), atol=1e-6)


def test_language_is_in_lerobots_columns_and_only_if_wanted(folder: Path, bundles: list[Path], tmp_path: Path) -> None:
    table = data(folder)
    said = table["language_persistent"].to_pylist()
    assert said[0][0] == {
        "role": "user",
        "content": "Lift the cube.",
        "style": "task_aug",
        "timestamp": 0.0,
        "camera": None,
        "tool_calls": None,
    }
    at = 0
    for steps in made.STEPS:
        assert all(one == said[at] for one in said[at : at + steps]), "every frame repeats what holds in its episode"
        at += steps
    assert table["language_events"].to_pylist() == [[]] * 55
    export(made.found(bundles), tmp_path / "without", language=False)
    assert not {"language_persistent", "language_events"} & set(info(tmp_path / "without")["features"])


def test_the_environment_that_the_actions_fit_is_named_beside(folder: Path) -> None:
    found = json.loads((folder / "meta/armshare.json").read_bytes())
    assert found["env_args"]["id"] == "sim.gym:armshare/Lift-FakeArm-v0"
    assert found["env_args"]["kwargs"] == {"control": "joint_position"}
    assert found["action"]["names"] == ["joint_1", "joint_2", "joint_3", "gripper"]
    assert found["videos"] == {"front": ["copied"] * 3}
    assert found["arrays"]["observation.environment_state"] == ["cube_pose"]
    features = info(folder)["features"]
    for name, arrays in found["arrays"].items():
        assert list(dict.fromkeys(one.partition(".")[0] for one in features[name]["names"])) == arrays


def test_video_is_said_to_be_what_it_is(folder: Path, bundles: list[Path], tmp_path: Path) -> None:
    copied = info(folder)["features"][FRONT]
    assert (copied["shape"], copied["names"]) == ([48, 64, 3], ["height", "width", "channels"])
    assert copied["info"]["video.codec"] == "h264"
    assert copied["info"]["video.pix_fmt"] == "yuv420p"
    assert (copied["info"]["video.g"], copied["info"]["video.crf"]) == (4, None), (
        "another encoder's setting is not known"
    )
    target = tmp_path / "drawn"
    done = export(made.found(bundles, draw=made.draw_apart), target)
    assert (done.copied, done.encoded) == (0, 3)
    encoded_here = info(target)["features"][FRONT]["info"]
    assert (encoded_here["video.g"], encoded_here["video.crf"]) == (10, 20)


def test_a_camera_of_another_rate_gives_each_step_its_newest_picture(bundles: list[Path], tmp_path: Path) -> None:
    found = made.found(bundles, draw=made.draw_apart, cameras=["front", "side"])
    export(found, tmp_path / "set")
    for one, row in zip(found, episodes(tmp_path / "set"), strict=True):
        for camera in ("front", "side"):
            pictures, newest = one.pictures[camera], shown(one, camera)
            t_ns = one.episode.t_observed_ns[:-1]
            assert (pictures.t_captured_ns[newest] <= t_ns).all()
            assert (pictures.t_captured_ns[newest + 1] > t_ns).all()
            decoder = Decoder(pictures)
            for pixels, index in zip(video(tmp_path / "set", row, f"observation.images.{camera}"), newest, strict=True):
                assert np.abs(pixels.astype(int) - decoder.frame(int(index))).mean() < 8
    captured = data(tmp_path / "set")["t_captured_mono_ns.side"].to_pylist()
    assert captured[:12] == next(iter(found)).pictures["side"].t_captured_ns[shown(next(iter(found)), "side")].tolist()


def test_data_and_video_go_on_in_further_files(
    bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lerobot, "DATA_FILE_MB", 0)
    monkeypatch.setattr(lerobot, "VIDEO_FILE_MB", 0)
    monkeypatch.setattr(lerobot, "CHUNK_FILES", 2)
    target = tmp_path / "set"
    export(made.found(bundles), target)
    places = [(row["data/chunk_index"], row["data/file_index"]) for row in episodes(target)]
    assert places == [(0, 0), (0, 1), (1, 0)]
    for row, place in zip(episodes(target), places, strict=True):
        path = info(target)["data_path"].format(chunk_index=place[0], file_index=place[1])
        assert pq.read_table(target / path).num_rows == row["length"]
        assert len(video(target, row)) == row["length"]


def test_a_failure_on_the_way_leaves_nothing(bundles: list[Path], tmp_path: Path) -> None:
    def torn(episode: Episode, camera: str, width: int, height: int) -> Pictures:
        if episode.meta.seed == 2:
            units = encoded(PictureCodec.H264, episode.steps + 1)
            units[5] = (b"\0\0\0\1", False)
            return pictures_of(units, PictureCodec.H264, t_captured_ns=episode.t_observed_ns.copy())
        return made.draw(episode, camera, width, height)

    with pytest.raises(CameraError, match=r"e2: picture 5 of front"):
        export(made.found(bundles, draw=torn), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["a full folder", "a file", "no folder"])
def test_nothing_is_ever_written_over(what: str, bundles: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "set"
    if what == "a full folder":
        target.mkdir()
        (target / "mine").write_text("mine")
    elif what == "a file":
        target.write_text("mine")
    else:
        target = tmp_path / "nowhere" / "set"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(TargetError, match=str(target)):
        export(made.found(bundles), target)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_same_episodes_give_the_same_files(bundles: list[Path], tmp_path: Path, folder: Path) -> None:
    export(made.found(bundles), tmp_path / "again")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(folder)).read_bytes(), path


def test_a_data_set_without_cameras_has_no_video(bundles: list[Path], tmp_path: Path) -> None:
    found: Demonstrations = made.found(bundles, cameras=[])
    export(found, tmp_path / "set")
    assert info(tmp_path / "set")["video_path"] is None
    assert not (tmp_path / "set" / "videos").exists()
