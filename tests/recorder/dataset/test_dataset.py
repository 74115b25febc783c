"""The public reader: frames and windows of episodes, from any camera, in any process."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import recorder.dataset.dataset as reading
from recorder.dataset import (
    ActionError,
    DeltaTimestampsError,
    EpisodeDataset,
    FactsError,
    MixedRobotsError,
    MixedTasksError,
    NoCameraError,
    NoEpisodesError,
    PictureCache,
    PictureCodec,
    Plane,
    UnknownKeyError,
    UnreadableBundleError,
    View,
    facts_of,
)
from recorder.export.actions import action_space
from recorder.file.episode import read_episode
from recorder.pictures.decode import Decoder
from rewards.score.kept import keep_score
from sim.pictures.render_scene import UnknownCameraError
from tests.recorder.bundles import TRUST, good_bundle
from tests.recorder.dataset.world import reaching
from tests.recorder.filming import head
from tests.recorder.pictures.test_drawn import Here

ROOT = Path(__file__).parents[3]
PEER = ROOT / ".venv-peers" / "bin" / "python"
SETUP = "sh tests/peers/setup"
FRONT, SIDE = View("front", 64, 48), View("side", 64, 48)
EXACT = View("front", 64, 48, codec=PictureCodec.PNG)


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return reaching(tmp_path_factory.mktemp("episodes"), range(3))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> PictureCache:
    return PictureCache(tmp_path_factory.mktemp("pictures") / "kept", 10**9)


@pytest.fixture(scope="module")
def drawn(episodes: list[Path], kept: PictureCache) -> EpisodeDataset:
    data = EpisodeDataset(episodes, cameras={"front": FRONT, "any": [FRONT, SIDE]}, kept=kept)
    assert data.draw() == 9
    return data


def test_a_frame_is_what_was_seen_and_what_was_done(episodes: list[Path], drawn: EpisodeDataset) -> None:
    files = [read_episode(bundle / "episode.h5") for bundle in episodes]
    steps = [file.steps for file in files]
    assert len(drawn) == sum(steps)
    assert [(one.first, one.end) for one in drawn.episodes] == [
        (0, steps[0]),
        (steps[0], steps[0] + steps[1]),
        (steps[0] + steps[1], len(drawn)),
    ]
    space = action_space("ee_twist", files[1].meta)
    for index, number, step in (
        (0, 0, 0),
        (steps[0] - 1, 0, steps[0] - 1),
        (steps[0] + 4, 1, 4),
        (-1, 2, steps[2] - 1),
    ):
        item, file = drawn[index], files[number]
        assert (item["episode_index"], item["frame_index"]) == (number, step)
        assert item["index"] == index % len(drawn)
        for name, array in file.observations.items():
            np.testing.assert_array_equal(item[f"observation.{name}"], array[step].astype(np.float32))
        np.testing.assert_array_equal(item["action"], space.of(file).values[step])
        assert item["timestamp"] == pytest.approx((file.t_observed_ns[step] - file.t_observed_ns[0]) / 1e9)
        assert item["next.success"] == (file.arrays["success"][step + 1] == 1)
        assert item["next.done"] == (step == file.steps - 1)
        assert item["task"] == file.meta.task.instruction
    with pytest.raises(IndexError, match=f"There are {len(drawn)} frames"):
        drawn[len(drawn)]


def test_a_picture_is_the_one_of_its_state(episodes: list[Path], drawn: EpisodeDataset, kept: PictureCache) -> None:
    exact = EpisodeDataset(episodes, cameras={"front": View("front", 64, 48, codec=PictureCodec.PNG)}, kept=kept)
    seen = [exact[index]["observation.images.front"] for index in range(30)]
    for index in (0, 7, 13, 25, 26, 29):
        found = drawn[index]["observation.images.front"].astype(float)
        away = [np.abs(found - other).mean() for other in seen]
        assert away[index] == min(away), "it resembles no other picture more"
    assert seen[0].shape == (48, 64, 3)
    assert seen[0].dtype == np.uint8


def test_a_window_has_the_frames_around_and_says_which_are_outside(drawn: EpisodeDataset, kept: PictureCache) -> None:
    bundles = [one.bundle for one in drawn.episodes]
    around = {"action": [0.0, 0.05, 0.10], "observation.images.front": [-0.10, 0.0], "observation.ee_pose": [-0.05]}
    data = EpisodeDataset(bundles, cameras={"front": FRONT}, delta_timestamps=around, kept=kept)
    last = data.episodes[0].end - 1
    first, end, inside = data[0], data[last], data[5]
    assert first["observation.images.front_is_pad"].tolist() == [True, False]
    assert end["action_is_pad"].tolist() == [False, True, True]
    assert inside["action_is_pad"].tolist() == [False, False, False]
    np.testing.assert_array_equal(inside["action"], [drawn[at]["action"] for at in (5, 6, 7)])
    np.testing.assert_array_equal(end["action"], [drawn[last]["action"]] * 3)
    np.testing.assert_array_equal(
        inside["observation.images.front"], [drawn[at]["observation.images.front"] for at in (3, 5)]
    )
    assert first["observation.ee_pose"].shape == (1, 7)
    assert "driven_is_pad" not in first


@pytest.mark.parametrize(
    ("around", "error", "said"),
    [
        ({"action": [0.0, 0.07]}, DeltaTimestampsError, r"has 0.07 s.*1/20 s"),
        ({"action": []}, DeltaTimestampsError, "a list of seconds"),
        ({"action": [float("nan")]}, DeltaTimestampsError, "a list of seconds"),
        ({"observation.images.rear": [0.0]}, UnknownKeyError, r"'observation.images.rear'.*observation.images.front"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(around, error, said, episodes: list[Path], kept: PictureCache) -> None:
    with pytest.raises(error, match=said):
        EpisodeDataset(episodes, cameras={"front": FRONT}, delta_timestamps=around, kept=kept)


def test_one_of_several_views_is_taken_by_seed_epoch_and_index(drawn: EpisodeDataset, kept: PictureCache) -> None:
    def shown(data: EpisodeDataset) -> list[bool]:
        items = [data[index] for index in range(20)]
        return [(one["observation.images.any"] == one["observation.images.front"]).all() for one in items]

    bundles = [one.bundle for one in drawn.episodes]
    cameras = {"front": FRONT, "any": [FRONT, SIDE]}
    first = shown(drawn)
    assert 3 < sum(first) < 17
    assert shown(EpisodeDataset(bundles, cameras=cameras, kept=kept)) == first
    assert shown(EpisodeDataset(bundles, cameras=cameras, kept=kept, seed=1)) != first
    later = EpisodeDataset(bundles, cameras=cameras, kept=kept)
    later.set_epoch(1)
    assert shown(later) != first


def test_a_camera_can_be_chosen_for_one_read(drawn: EpisodeDataset) -> None:
    own = drawn[3]["observation.images.front"]
    other = drawn.frame(3, cameras={"front": SIDE, "any": FRONT})
    assert (other["observation.images.any"] == own).all()
    assert (other["observation.images.front"] != own).any()
    deep = drawn.frame(3, cameras={"front": View("front", 64, 48, plane=Plane.DEPTH)})["observation.images.front"]
    assert (deep.shape, deep.dtype) == ((48, 64), np.uint16)


def test_a_whole_episode_is_its_frames(drawn: EpisodeDataset) -> None:
    whole = drawn.episode(1, pictures=True)
    first = drawn.episodes[1].first
    assert len(whole["action"]) == drawn.episodes[1].steps
    for key, values in whole.items():
        if key != "observation.images.any":
            np.testing.assert_array_equal(values[6], drawn[first + 6][key])
    assert "observation.images.front" not in drawn.episode(1)


def test_facts_choose_episodes(episodes: list[Path], tmp_path: Path) -> None:
    copies = [Path(shutil.copytree(bundle, tmp_path / bundle.name)) for bundle in episodes]
    keep_score(copies[1])
    facts = facts_of(copies[1])
    assert (facts["success"], facts["simulated"], facts["task"]) == (True, True, "reach")
    assert facts["seed"] == 1
    assert 0.0 < facts["unverified_score"] <= 1.0
    assert isinstance(facts["unverified_smoothness"], float)
    assert not {"score", "smoothness"} & facts.keys(), "nobody signed them"
    assert "unverified_score" not in facts_of(copies[0])
    chosen = EpisodeDataset(tmp_path, where=lambda facts: facts.get("unverified_score", 0.0) > 0.0)
    assert [one.bundle for one in chosen.episodes] == [copies[1]]
    with pytest.raises(NoEpisodesError, match="None of the 3 episodes"):
        EpisodeDataset(tmp_path, where=lambda facts: facts["operator"] == "0x0")
    (copies[1] / "score.json").write_text("{")
    with pytest.raises(FactsError, match="Compute it again"):
        EpisodeDataset(tmp_path)


def test_it_tells_an_episodes_verdict_by_its_receipt(tmp_path: Path) -> None:
    facts = facts_of(good_bundle(tmp_path), TRUST)
    assert facts["trust"] == "replayed"
    assert facts["digest"] == json.loads((tmp_path / "episode-1" / "signatures.json").read_bytes())["digest"]


def test_episodes_that_do_not_fit_are_refused_by_name(episodes: list[Path], tmp_path: Path) -> None:
    fake = good_bundle(tmp_path, episode="fake")
    stack = good_bundle(tmp_path, episode="stack", task="stack")
    four = good_bundle(tmp_path, episode="four", joints=4)
    with pytest.raises(MixedTasksError, match="stack of stack 1"):
        EpisodeDataset([fake, stack])
    with pytest.raises(MixedTasksError):
        EpisodeDataset([episodes[0], fake])
    with pytest.raises(MixedRobotsError, match="fake_arm"):
        EpisodeDataset([fake, four])[60]
    with pytest.raises(NoEpisodesError):
        EpisodeDataset([])
    with pytest.raises(NoEpisodesError):
        EpisodeDataset(tmp_path / "nowhere")
    with pytest.raises(UnreadableBundleError, match=r"no manifest\.json"):
        EpisodeDataset([tmp_path])
    with pytest.raises(ActionError, match="no action 'jump'"):
        EpisodeDataset(episodes, action="jump")  # type: ignore[arg-type]  # what somebody might write


@pytest.mark.parametrize("name", ["manifest.json", "signatures.json", "episode.h5"])
def test_an_episode_that_is_damaged_is_named(name: str, episodes: list[Path], tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(episodes[0], tmp_path / "damaged"))
    (bundle / name).write_bytes((bundle / name).read_bytes()[:100])
    with pytest.raises(UnreadableBundleError, match="damaged is not a complete episode"):
        EpisodeDataset(bundle)


@pytest.mark.parametrize(
    ("cameras", "error", "said"),
    [
        ("front", NoCameraError, r"\['front'\]"),
        ({"front": []}, NoCameraError, "nothing for 'front'"),
    ],
)
def test_cameras_that_make_no_sense_are_refused(cameras, error, said, episodes: list[Path]) -> None:
    with pytest.raises(error, match=said):
        EpisodeDataset(episodes, cameras=cameras)


def test_a_camera_that_the_scene_lacks_is_refused_when_it_is_drawn(episodes: list[Path], kept: PictureCache) -> None:
    with pytest.raises(UnknownCameraError, match="front, side and wrist"):
        EpisodeDataset(episodes, cameras=["rear"], kept=kept)[0]


def test_a_real_robots_cameras_are_those_that_recorded(tmp_path: Path) -> None:
    """At a rate of their own, 30 Hz beside 20: each step has the newest picture that had been taken by then."""
    bundle = good_bundle(tmp_path, simulated=False, cameras=(head("front"), head("depth", PictureCodec.DEPTH16)))
    episode = read_episode(bundle / "episode.h5")
    data = EpisodeDataset(
        bundle,
        cameras=["front", "depth"],
        action="joint_position",
        delta_timestamps={"observation.images.depth": [-0.05, 0.0]},
    )
    for step in (0, 1, 2, 7, 39):
        t_ns = episode.t_observed_ns[step]
        for name, picture in (("front", data[step]["observation.images.front"]), ("depth", None)):
            film = episode.pictures[name]
            number = int(np.flatnonzero(film.t_captured_ns <= t_ns)[-1])
            found = data[step]["observation.images.depth"][1] if picture is None else picture
            np.testing.assert_array_equal(found, Decoder(film).frame(number))
    assert data[0]["observation.images.depth_is_pad"].tolist() == [True, False]
    assert data[5]["observation.images.depth"].dtype == np.uint16
    with pytest.raises(NoCameraError, match="real robot"):
        EpisodeDataset(bundle, cameras={"front": View("front")})
    with pytest.raises(NoCameraError, match="no camera 'wrist'"):
        EpisodeDataset(bundle, cameras=["wrist"])


def test_only_so_many_episodes_stay_open(drawn: EpisodeDataset, kept: PictureCache) -> None:
    bundles = [one.bundle for one in drawn.episodes]
    few = EpisodeDataset(bundles, cameras={"front": FRONT}, kept=kept, open_max=2)
    small = EpisodeDataset(bundles, cameras={"front": FRONT}, kept=kept, memory_bytes_max=1)
    for data, most in ((few, 2), (small, 1)):
        for index in (0, 30, 60, 1, 31, 61):
            data[index]
            assert len(data._shelf) <= most
    assert (few[31]["observation.images.front"] == drawn[31]["observation.images.front"]).all()


def _sums(data: EpisodeDataset, answers) -> None:
    answers.put([int(data[index]["observation.images.any"].sum()) for index in (0, 40, 70)])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_another_process_reads_the_same_and_opens_its_own(start: str, drawn: EpisodeDataset) -> None:
    context = multiprocessing.get_context(start)
    expected = [int(drawn[index]["observation.images.any"].sum()) for index in (0, 40, 70)]
    answers = context.SimpleQueue()
    workers = [context.Process(target=_sums, args=(drawn, answers), daemon=True) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert [answers.get(), answers.get()] == [expected, expected]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert [int(drawn[index]["observation.images.any"].sum()) for index in (0, 40, 70)] == expected


def _first_picture(data: EpisodeDataset, answers) -> None:
    answers.put(data[0]["observation.images.front"])


def test_a_daemon_draws_what_nobody_has_drawn(episodes: list[Path], kept: PictureCache, tmp_path: Path) -> None:
    """A worker of torch's DataLoader is one: it may start no process of multiprocessing, and is often a fork."""
    other = PictureCache(tmp_path / "other", 10**9)
    data = EpisodeDataset(episodes[0], cameras={"front": EXACT}, kept=other)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    worker = context.Process(target=_first_picture, args=(data, answers), daemon=True)
    worker.start()
    found = answers.get()
    worker.join()
    assert (
        found == EpisodeDataset(episodes[0], cameras={"front": EXACT}, kept=kept)[0]["observation.images.front"]
    ).all()


def test_a_pickle_holds_nothing_that_is_open(drawn: EpisodeDataset) -> None:
    drawn[0]
    assert len(pickle.dumps(drawn)) < 20_000
    again = pickle.loads(pickle.dumps(drawn))
    assert (again[7]["observation.images.front"] == drawn[7]["observation.images.front"]).all()


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_torchs_dataloader_takes_it_as_it_is(start: str, drawn: EpisodeDataset, tmp_path: Path) -> None:
    if not PEER.exists():
        pytest.fail(f"torch is not set up; run: {SETUP}")
    (tmp_path / "data").write_bytes(pickle.dumps(drawn))
    ours = Path(np.__file__).parents[1]
    done = subprocess.run(
        [str(PEER), "-W", "error", str(Path(__file__).with_name("torch_loads.py")), str(tmp_path / "data"), start],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ours}"},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    assert seen["sums"] == [int(drawn[index]["observation.images.front"].sum()) for index in range(len(drawn))]
    assert seen["shapes"]["observation.images.front"] == ["torch.uint8", 48, 64, 3]
    assert seen["shapes"]["action"] == ["torch.float32", 7]
    assert seen["shapes"]["next.done"] == ["torch.bool"]
    assert seen["task"] == drawn.meta.task.instruction


def test_importing_the_reader_loads_no_physics_no_torch_and_no_web() -> None:
    heavy = ("pybullet", "torch", "fastapi", "web3", "gymnasium")
    said = f"import recorder.dataset, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_it_is_drawn_by_whoever_is_named(episodes: list[Path], tmp_path: Path) -> None:
    worker = Here()
    episode = read_episode(episodes[0] / "episode.h5")
    reading.pictures_of(episode, FRONT, PictureCache(tmp_path / "p", 10**9), worker)
    assert worker.orders > 1


def test_the_tutorials_lines_read_episodes(episodes: list[Path], tmp_path: Path) -> None:
    (tmp_path / "episodes").symlink_to(episodes[0].parent)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/tutorials/data.md").read_text(), re.DOTALL)
    (block,) = [one for one in blocks if "recorder.dataset" in one]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        cwd=tmp_path,
        env={**os.environ, "ARMSHARE_PICTURES": str(tmp_path / "kept"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [
        "(2, 224, 224, 3) (3, 7) [False False False]",
        "gymnasium.make(\"sim.gym:armshare/Reach-Panda-v0\", control='ee_twist')",
    ]
