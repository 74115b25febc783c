"""A released set, loaded from the hub by LeRobot itself; `make lerobot` runs it, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from recorder.export.lerobot_rows import shown
from recorder.pictures.decode import Decoder
from rewards.datasets.version import DatasetVersion
from tests.recorder.export import made
from tests.recorder.export.test_lerobot_peer import libraries
from tests.rewards.datasets.sets import NAME
from tests.rewards.hub.exports.released_hub import Hub, opened

pytestmark = [pytest.mark.lerobot, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[4]
PEER = ROOT / ".venv-lerobot" / "bin" / "python"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with opened(tmp_path_factory.mktemp("hub")) as served:
        yield served


def loaded(hub: Hub, work: Path, *revision: str) -> Any:
    """Return what LeRobot saw, with one environment variable that names the hub, and two for its own folders."""
    if not PEER.exists():
        pytest.fail("LeRobot is not set up; run: tests/peers/lerobot/setup")
    apart = {"HF_HOME": str(work / "home"), "HF_LEROBOT_HOME": str(work / "lerobot"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [str(PEER), str(ROOT / "tests/peers/lerobot/loads.py"), NAME, *revision]
    decoder = str(libraries(work / "libraries"))  # LeRobot streams by torchcodec alone
    environment = {**os.environ, **apart, "HF_ENDPOINT": hub.url, "LD_LIBRARY_PATH": decoder}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def in_our_files(hub: Hub, one: DatasetVersion) -> list[dict[str, Any]]:
    """Return what the episodes' own files give, frame by frame."""
    bundles = [hub.folder.parent / "bundles" / member.episode for member in one.episodes]
    frames = []
    for demonstration in made.found(bundles):
        decoder, pictures = Decoder(demonstration.pictures["front"]), shown(demonstration, "front")
        for place, step in enumerate(demonstration.steps.tolist()):
            frames.append(
                {
                    "index": len(frames),
                    "episode": demonstration.number,
                    "action": demonstration.actions[step].tolist(),
                    "t_observed_mono_ns": int(demonstration.episode.t_observed_ns[step]),
                    "picture": decoder.frame(int(pictures[place])).mean(axis=(0, 1)).tolist(),
                }
            )
    return frames


def same(seen: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Hold frames to what the files give; a decoder of video may differ by a little."""
    assert len(seen) == len(expected)
    for one, other in zip(seen, expected, strict=True):
        assert {name: one[name] for name in ("index", "episode", "t_observed_mono_ns")} == {
            name: other[name] for name in ("index", "episode", "t_observed_mono_ns")
        }
        assert one["action"] == pytest.approx(other["action"])
        assert np.abs(np.array(one["picture"]) - np.array(other["picture"])).max() < 3.0


def test_lerobot_loads_the_newest_release_by_its_name(hub: Hub, tmp_path: Path) -> None:
    seen = loaded(hub, tmp_path)
    expected = in_our_files(hub, hub.second)
    assert (seen["revision"], seen["episodes"]) == ("v3.0", 3)
    same(seen["frames"], expected)
    table = pq.read_table(hub.folder / hub.second.digest / "files/data/chunk-000/file-000.parquet")
    assert [one["state"] for one in seen["frames"]] == [
        pytest.approx(state) for state in table["observation.state"].to_pylist()
    ]
    assert (set(seen["part"]), seen["test"]) == ({1}, [2])
    same(sorted(seen["streamed"], key=lambda one: one["index"]), expected)


def test_lerobot_loads_an_older_version_by_its_tag(hub: Hub, tmp_path: Path) -> None:
    seen = loaded(hub, tmp_path, "version-1")
    assert (seen["revision"], seen["episodes"]) == ("version-1", 2)
    same(seen["frames"], in_our_files(hub, hub.first))


def test_lerobots_visualizer_opens_a_released_set(hub: Hub, tmp_path: Path) -> None:
    apart = {"HF_HOME": str(tmp_path / "home"), "HF_LEROBOT_HOME": str(tmp_path / "lerobot")}
    environment = {**os.environ, **apart, "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_TELEMETRY": "1"}
    wanted = ["--repo-id", NAME, "--episode-index", "1", "--num-workers", "0"]
    command = [str(PEER.with_name("lerobot-dataset-viz")), *wanted, "--save", "1", "--output-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    (recording,) = tmp_path.glob("*.rrd")
    rerun = [str(PEER), "-m", "rerun", "rrd"]
    for what, expected in (("verify", ""), ("print", "observation.images.front")):
        found = subprocess.run([*rerun, what, str(recording)], capture_output=True, text=True, timeout=300)
        assert found.returncode == 0, found.stderr[-3000:]
        assert expected in found.stdout + found.stderr
