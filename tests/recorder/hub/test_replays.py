"""What shows an episode once more: a few rows of the values of its file, on the clock that its motion is scored on."""

from __future__ import annotations

import asyncio
import base64
import math
import multiprocessing
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import httpx
import numpy as np
import pytest

from recorder.file.episode import read_episode
from recorder.hub import replays
from recorder.hub.replays import ReplayAnswer, replay_of
from recorder.hub.showing import line
from recorder.hub.showing.line import Line
from tests.recorder.bundles import record
from tests.recorder.factory import MALLORY, WALLET, fake_episode
from tests.recorder.hub.test_api import handed_in, sign
from tests.recorder.served import Hub, bearer, code


def rows_of(answer: ReplayAnswer) -> np.ndarray:
    return np.frombuffer(base64.b64decode(answer.values), "<f4").reshape(len(answer.t_s), -1)


def test_a_replay_has_the_values_of_the_file_at_their_times(tmp_path: Path) -> None:
    file = record(tmp_path, fake_episode(steps=200))
    episode = read_episode(file)

    answer = replay_of(file)

    hz = episode.meta.spec.control_hz
    steps = np.round(np.array(answer.t_s) * hz).astype(int)
    whole = np.hstack([values.reshape(len(values), -1) for values in episode.observations.values()])
    assert [one.name for one in answer.arrays] == list(episode.observations)
    np.testing.assert_array_equal(rows_of(answer), whole[steps].astype(np.float32))
    assert (steps[0], steps[-1]) == (0, 200)
    told = [math.nan if one is None else one for one in answer.progress]
    np.testing.assert_array_equal(told, episode.arrays["progress"][steps])
    assert answer.stages == episode.meta.task.stages
    assert np.diff(answer.t_s).min() > 0
    assert len(steps) <= 200 / hz * replays.RATE_HZ + 2


def test_a_long_replay_has_fewer_rows_a_second_and_still_begins_and_ends_with_the_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "ROWS_MAX", 7)
    file = record(tmp_path, fake_episode(steps=60))

    answer = replay_of(file)

    assert len(answer.t_s) == len(rows_of(answer)) <= 7
    assert len(answer.t_s) > 4
    assert (answer.t_s[0], answer.t_s[-1]) == (0.0, pytest.approx(60 / read_episode(file).meta.spec.control_hz))


def test_a_real_robots_replay_has_its_hosts_times(tmp_path: Path) -> None:
    file = record(tmp_path, fake_episode(steps=50, simulated=False))
    episode = read_episode(file)

    answer = replay_of(file)

    measured_s = (episode.t_observed_ns - episode.t_observed_ns[0]) / 1e9
    assert set(answer.t_s) <= {round(float(t), 4) for t in measured_s}
    assert (answer.t_s[0], answer.t_s[-1]) == (0.0, round(float(measured_s[-1]), 4))
    assert len(rows_of(answer)) == len(answer.t_s)


def test_an_episode_of_one_step_is_shown(tmp_path: Path) -> None:
    answer = replay_of(record(tmp_path, fake_episode(steps=1)))
    assert len(rows_of(answer)) == len(answer.t_s) == 2


def test_a_verified_episode_is_replayed_by_anyone_and_another_by_nobody(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    path = f"/api/episodes/{bundle.name}/replay"

    for asking in (None, bearer(MALLORY.address), bearer(WALLET.address)):
        assert code(web.get(path, headers=asking)) == (409, "episode_state")
    assert code(web.get("/api/episodes/nothing/replay"))[0] == 404
    assert sign(web, bundle).status_code == 200

    answer = web.get(path)
    assert answer.status_code == 200
    assert answer.json()["episode"] == bundle.name
    assert len(rows_of(ReplayAnswer(**{**answer.json(), "arrays": []}))) == len(answer.json()["t_s"])


def test_a_replay_is_read_by_a_worker(tmp_path: Path) -> None:
    file = record(tmp_path, fake_episode(steps=10))

    async def asked() -> ReplayAnswer:
        return await Line(workers).of("e1", replay_of, file)

    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as workers:
        assert asyncio.run(asked()) == replay_of(file)


def test_a_worker_that_is_lost_says_nothing_against_the_file_and_it_may_be_asked_again(
    tmp_path: Path, hub: Hub, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    assert sign(web, bundle).status_code == 200
    path = f"/api/episodes/{bundle.name}/replay"

    for error in (BrokenExecutor("a worker died"), OSError(5, "I/O"), MemoryError()):
        with monkeypatch.context() as patch:
            patch.setattr(replays, "replay_of", Mock(side_effect=error))
            answer = web.get(path)
        assert code(answer) == (503, "replay_unread")
        assert answer.headers["Retry-After"] == "5"

    monkeypatch.setattr(line, "WAITING_MAX", 0)
    answer = web.get(path)
    assert code(answer) == (503, "replay_busy")
    assert answer.headers["Retry-After"] == "5"
    monkeypatch.undo()
    assert web.get(path).status_code == 200


def test_a_file_that_is_no_episode_any_more_is_said_to_be_unreadable(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    assert sign(web, bundle).status_code == 200
    hub.store.path(bundle.name, "episode.h5").write_bytes(b"not an episode")
    assert code(web.get(f"/api/episodes/{bundle.name}/replay")) == (404, "unknown_file")
