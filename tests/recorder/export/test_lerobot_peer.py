"""The LeRobot export, read and edited by LeRobot itself; `make lerobot` runs it, in an environment of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder.export.lerobot import export
from recorder.export.lerobot_rows import shown
from recorder.pictures.decode import Decoder
from tests.recorder.export import made

pytestmark = [pytest.mark.lerobot, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[3]
PEER = ROOT / ".venv-lerobot" / "bin" / "python"
FRONT = "observation.images.front"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The first copies its video, with pictures from before each episode; the second encodes it; the third is depth."""
    work = tmp_path_factory.mktemp("lerobot")
    one, other = made.bundles(work / "one"), made.bundles(work / "other", name="o")
    assert export(made.found(one, draw=made.draw_early), work / "first").encoded == 0
    assert export(made.found(other, draw=made.draw_apart), work / "second").copied == 0
    export(made.found(one, draw=made.draw_deep, cameras=["deep"]), work / "deep")
    return work / "first", work / "second", work / "deep"


@pytest.fixture(scope="module", params=["pyav", "torchcodec"])
def seen(
    request: pytest.FixtureRequest, folders: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """What LeRobot saw; with FFmpeg's libraries in reach it decodes by torchcodec, else by PyAV."""
    if not PEER.exists():
        pytest.fail("LeRobot is not set up; run: tests/peers/lerobot/setup")
    work = tmp_path_factory.mktemp(request.param)
    environment = dict(os.environ)
    if request.param == "torchcodec":
        environment["LD_LIBRARY_PATH"] = str(libraries(work / "libraries"))
    command = [str(PEER), str(ROOT / "tests/peers/lerobot/reads.py"), *map(str, folders), str(work)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert ("Falling back to 'pyav'" in done.stderr + done.stdout) is (request.param == "pyav")
    return json.loads(done.stdout.splitlines()[-1])


def libraries(folder: Path) -> Path:
    """Return a folder in which the libraries of the peer's PyAV have the names by which torchcodec looks for them."""
    folder.mkdir()
    for library in next((PEER.parents[1] / "lib").glob("python*/site-packages/av.libs")).iterdir():
        (folder / re.sub(r"-[0-9a-f]{8}(\.so\.\d+)[.\d]*$", r"\1", library.name)).symlink_to(library)
        if not (folder / library.name).exists():
            (folder / library.name).symlink_to(library)
    return folder


def blocks(pixels: np.ndarray) -> np.ndarray:
    height, width, _ = pixels.shape
    return pixels.reshape(6, height // 6, 8, width // 8, 3).mean(axis=(1, 3))


def test_lerobot_reads_the_first_and_last_frame_of_every_episode(seen: Any, folders: tuple[Path, Path, Path]) -> None:
    found = seen["read"]
    assert (found["episodes"], found["frames"]) == (3, sum(made.STEPS))
    for demonstration, ends in zip(
        made.found(made_bundles(folders[0]), draw=made.draw_early), found["ends"], strict=True
    ):
        decoder, pictures = Decoder(demonstration.pictures["front"]), shown(demonstration, "front")
        for place, frame in zip((0, -1), ends, strict=True):
            step = int(demonstration.steps[place])
            expected = blocks(decoder.frame(int(pictures[place])))
            assert np.abs(np.array(frame["pictures"][FRONT]) - expected).max() < 3.0
            assert frame["step"] == step
            assert frame["action"] == pytest.approx(demonstration.actions[step].tolist())
            assert frame["t_observed_mono_ns"] == demonstration.episode.t_observed_ns[step]
            assert frame["timestamp"] == pytest.approx(step / 20)
            assert frame["task"] == "Lift the cube."
            assert frame["language_persistent"][0]["style"] == "task_aug"
            assert frame["language_events"] == []


def test_windows_are_padded_at_the_ends_of_an_episode(seen: Any) -> None:
    first, middle, last = seen["windows"]
    assert (first["padded"], middle["padded"]) == ([True, True, False, False], [False] * 4)
    assert last["padded"] == [False, False, False, True]
    assert len(middle["pictures"]) == 4
    assert np.abs(np.diff(np.array(middle["pictures"]), axis=0)).max(axis=(1, 2, 3)).min() > 1.0, "they differ"


def test_episodes_are_chosen_by_what_is_said_of_them(seen: Any) -> None:
    found = seen["read"]
    assert found["good"] == [1, 2]
    said = {"score", "score_smoothness", "success", "operator", "robot", "trust", "digest", "seed", "driver"}
    assert said <= set(found["columns"])


def test_data_sets_merge_and_lose_an_episode_by_lerobots_own_tools(seen: Any) -> None:
    merged, deleted = seen["merged"], seen["deleted"]
    assert (merged["episodes"], merged["frames"]) == (6, 2 * sum(made.STEPS))
    assert merged["good"] == [1, 2, 4, 5], "what is said of episodes survives a merge"
    assert (deleted["episodes"], deleted["frames"]) == (5, 2 * sum(made.STEPS) - made.STEPS[1])
    for ends, was in zip(merged["ends"], [*seen["read"]["ends"], *seen["second"]["ends"]], strict=True):
        for kept, before in zip(ends, was, strict=True):
            away = np.abs(np.array(kept["pictures"][FRONT]) - np.array(before["pictures"][FRONT]))
            assert away.max() < 1.0, "also of files whose encoders had other settings, which a merge joins"
    before = [ends for number, ends in enumerate(merged["ends"]) if number != 1]
    for (one, other), (first, last) in zip(deleted["ends"], before, strict=True):
        for kept, was in ((one, first), (other, last)):
            assert kept["action"] == was["action"]
            away = np.abs(np.array(kept["pictures"][FRONT]) - np.array(was["pictures"][FRONT]))
            assert away.mean() < 3.0, "their tool encodes again what it keeps"


def test_depth_is_read_in_millimetres(seen: Any, folders: tuple[Path, Path, Path]) -> None:
    assert seen["deep"]["camera"] == "observation.images.deep"
    one = next(iter(made.found(made_bundles(folders[0]), draw=made.draw_deep, cameras=["deep"])))
    decoder = Decoder(one.pictures["deep"])
    for index, found in zip((0, 5, 11), seen["deep"]["millimetres"], strict=True):
        expected = decoder.frame(index)
        within = (expected >= 10) & (expected <= 10_000)
        assert np.abs(np.array(found) - expected)[within].max() < 3.0


def made_bundles(first: Path) -> list[Path]:
    return [first.parent / "one" / f"e{number}" for number in range(3)]
