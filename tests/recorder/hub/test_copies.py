"""A hub refuses a copied motion and says whose it is; of two copies at once, one stands; earlier episodes count too."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from recorder.file.episode import read_episode
from recorder.hub import motions
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow, MotionPathRow, MotionRow
from recorder.proof.bundle import TrustClass
from recorder.proof.checks.copies import NEAR, Motion, distance, motion_of
from recorder.proof.checks.copies import Path as MotionPath
from recorder.proof.checks.paths import POINTS
from recorder.proof.manifest import NO_PREVIOUS
from recorder.proof.refusals import GateError
from recorder.proof.seal import seal
from tests.recorder.bundles import record
from tests.recorder.factory import DOMAIN, ROBOT, WALLET, fake_episode
from tests.recorder.hub.test_api import seal as seal_at
from tests.recorder.hub.test_api import sign, upload
from tests.recorder.served import Hub, bearer, code

COPIES: dict[str, tuple[dict[str, Any], str]] = {
    "of another day": ({"t_wall_ns": 1_760_000_000_000_000_000}, "DuplicateEpisode"),
    "at half the pace": ({"steps": 80}, "CopiedMotion"),
    "a third faster": ({"steps": 30}, "CopiedMotion"),
    "shaken by 2 mrad": ({"shake_rad": 0.002}, "CopiedMotion"),
    "after a rest": ({"steps": 60, "idle": 20}, "CopiedMotion"),
    "for another task": ({"task": "push"}, "DuplicateEpisode"),
    "slower, shaken, for another task": ({"steps": 90, "shake_rad": 0.001, "task": "push"}, "CopiedMotion"),
}


def handed_in(web: httpx.Client, hub: Hub, folder: Path, *, cube_at: float | None = None, **kwargs: Any) -> Path:
    """Bring a fake episode to the hub; `cube_at` moves the cube of its world."""
    folder.mkdir(parents=True, exist_ok=True)
    start, steps, end = fake_episode(**kwargs)
    if cube_at is not None:
        values = {**start.initial.values, "cube_pose": np.array([cube_at, 0.0, 0.02, 0.0, 0.0, 0.0, 1.0])}
        start = dataclasses.replace(start, initial=dataclasses.replace(start.initial, values=values))
    bundle = folder / start.episode
    seal(record(folder, (start, steps, end)), bundle, key=ROBOT, domain=DOMAIN, previous=NO_PREVIOUS)
    hub.begin(bundle.name, task=kwargs.get("task", "lift"), seed=kwargs.get("seed", 7))
    assert seal_at(web, bundle, upload(web, bundle)).status_code == 202
    return bundle


def shown(web: httpx.Client, episode: str) -> dict[str, Any]:
    found: dict[str, Any] = web.get(f"/api/episodes/{episode}").json()
    return found


@pytest.mark.parametrize("what", COPIES)
def test_a_copy_is_refused_and_its_reason_names_the_twin(
    tmp_path: Path, hub: Hub, web: httpx.Client, what: str
) -> None:
    changes, gate = COPIES[what]
    assert sign(web, handed_in(web, hub, tmp_path)).json()["state"] == "verified"
    copy = handed_in(web, hub, tmp_path, episode="copy", **changes)

    assert code(sign(web, copy)) == (422, gate)

    found = shown(web, "copy")
    assert (found["state"], found["twin"]) == ("rejected", "episode-1")
    assert found["reason"].startswith(f"{gate}: ")
    assert "'episode-1'" in found["reason"]
    assert hub_size(hub) == 1, "nothing of it is in the log"


def hub_size(hub: Hub) -> int:
    with hub.database() as db:
        return hub.log.size(db)


@pytest.mark.parametrize("changes", [{"seed": 8}, {"reach": 0.7}, {"seed": 9, "steps": 60}])
def test_another_motion_is_verified(tmp_path: Path, hub: Hub, web: httpx.Client, changes: dict[str, Any]) -> None:
    sign(web, handed_in(web, hub, tmp_path))

    answer = sign(web, handed_in(web, hub, tmp_path, episode="episode-2", **changes))

    assert (answer.json()["state"], answer.json()["twin"]) == ("verified", None)


def test_a_refused_copy_is_nobodys_twin_and_another_look_finds_the_same(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    sign(web, handed_in(web, hub, tmp_path))
    copy = handed_in(web, hub, tmp_path, episode="copy", steps=80)
    sign(web, copy)

    again = web.post("/api/episodes/copy/another-look", headers=bearer(WALLET.address), json={})

    assert code(again) == (422, "CopiedMotion")
    with hub.database() as db:
        assert list(db.scalars(select(MotionRow.episode))) == ["episode-1"]


class Replaying:
    """A simulator that reproduces everything."""

    def __call__(self, episode: object) -> None:
        pass


@pytest.fixture
def replaying(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "replaying", replay=Replaying())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("cube_at", "state"), [(None, "rejected"), (0.401, "verified"), (0.5, "rejected")],
    ids=["the same world", "a world that differs as the motions do", "a world that differs far more"],
)  # fmt: skip
def test_a_replayed_motion_may_be_near_one_of_a_world_near_its_own(
    tmp_path: Path, replaying: Hub, cube_at: float | None, state: str
) -> None:
    """A program drives the more alike the more alike its worlds are: that copies nothing."""
    with replaying.served() as url, httpx.Client(base_url=url, timeout=20) as web:
        assert sign(web, handed_in(web, replaying, tmp_path)).json()["trust"] == "replayed"
        near = handed_in(web, replaying, tmp_path, episode="near", steps=80, reach=0.804, cube_at=cube_at)
        sign(web, near)
        assert shown(web, "near")["state"] == state


@pytest.mark.usefixtures("either_database")
def test_simulations_that_fail_alike_are_no_copies_but_a_success_is_one_of_a_failure(
    tmp_path: Path, replaying: Hub
) -> None:
    """The terminal's first drive moves in the same way for everyone."""
    with replaying.served() as url, httpx.Client(base_url=url, timeout=20) as web:
        for day, name in enumerate(("episode-1", "episode-2")):
            at_ns = 1_760_000_000_000_000_000 + day * 10**14
            failed = handed_in(web, replaying, tmp_path, episode=name, success=False, t_wall_ns=at_ns)
            assert sign(web, failed).json()["state"] == "verified"

        assert code(sign(web, handed_in(web, replaying, tmp_path, episode="copy"))) == (422, "CopiedMotion")


def test_a_real_robots_failure_is_compared(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    sign(web, handed_in(web, hub, tmp_path, success=False))

    copy = handed_in(web, hub, tmp_path, episode="copy", success=False, t_wall_ns=1_760_000_000_000_000_000)
    assert code(sign(web, copy)) == (422, "DuplicateEpisode")


def test_of_two_copies_at_the_same_moment_one_stands(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    """Each has passed every gate when neither is verified yet."""
    names = ["one", "other"]
    found = []
    for number, name in enumerate(names):
        bundle = handed_in(web, hub, tmp_path, episode=name, steps=80 + number)
        found.append(motion_of(read_episode(bundle / "episode.h5")))
    together = Barrier(2)

    def verified(name: str, motion: Motion) -> str | None:
        together.wait(20)
        try:
            hub.records.verified(name, "0x", TrustClass.WITNESSED, motion)
        except GateError as error:
            return type(error).__name__
        return None

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(verified, names, found), key=str) == ["CopiedMotion", None]
    assert hub_size(hub) == 1


def test_the_motions_of_earlier_episodes_are_read_once_and_keep_their_verdicts(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    sign(web, handed_in(web, hub, tmp_path))
    forget(hub)
    sign(web, handed_in(web, hub, tmp_path, episode="a-copy", t_wall_ns=1_760_000_000_000_000_000))
    forget(hub)
    assert [shown(web, name)["state"] for name in ("episode-1", "a-copy")] == ["verified", "verified"]

    asyncio.run(hub.intake.keep_motions())
    asyncio.run(hub.intake.keep_motions())

    assert hub.records.without_motion() == []
    assert [shown(web, name)["state"] for name in ("episode-1", "a-copy")] == ["verified", "verified"]
    late = handed_in(web, hub, tmp_path, episode="late", t_wall_ns=1_770_000_000_000_000_000)
    assert code(sign(web, late)) == (422, "DuplicateEpisode")
    assert shown(web, "late")["twin"] == "episode-1", "the first of the two"


def test_an_earlier_episode_that_cannot_be_read_keeps_no_other_from_being_found(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    sign(web, handed_in(web, hub, tmp_path))
    sign(web, handed_in(web, hub, tmp_path, episode="episode-2", seed=8))
    forget(hub)
    (hub.store.folder("episode-1") / "episode.h5").write_bytes(b"lost")

    asyncio.run(hub.intake.keep_motions())

    assert hub.records.without_motion() == ["episode-1"]


def forget(hub: Hub) -> None:
    """Make the hub one of a release that kept no motions."""
    with hub.database() as db, db.begin():
        db.execute(delete(MotionPathRow))
        db.execute(delete(MotionRow))


def test_the_index_finds_what_a_comparison_with_all_finds(hub: Hub) -> None:
    """No path that is near is missed, up to the last fraction of what counts as near."""
    random = np.random.default_rng(5)
    kept = {f"e{number}": some_path(random) for number in range(60)}
    with hub.database() as db, db.begin():
        for name, path in kept.items():
            verified_before(db, name)
            motions.add(db, name, Motion(None, (path,), b""), replayed=False)
    asked = 0
    for name, path in kept.items():
        for share in (0.1, 0.9, 0.999999, 1.001):
            beside = moved(random, path, share * NEAR[path.kind])
            best = min((distance(beside, other), other_name) for other_name, other in kept.items())
            found = twin(hub.database, beside)
            assert found == (best[1] if best[0] <= NEAR[path.kind] else None)
            asked += found == name
    assert asked >= 150


def twin(database: sessionmaker[Session], path: MotionPath) -> str | None:
    with database() as db:
        found = motions.twin(db, Motion(None, (path,), b""), replayed=False)
    return None if found is None else found.episode


def some_path(random: np.random.Generator) -> MotionPath:
    points = np.cumsum(random.normal(scale=0.01, size=(POINTS, 9)), axis=0)
    return MotionPath("hands", 9, points.astype("<f4").tobytes())


def moved(random: np.random.Generator, path: MotionPath, by: float) -> MotionPath:
    way = random.normal(size=POINTS * 9) * np.repeat([1.0, 0.0], [POINTS * 9 // 2, POINTS * 9 // 2])
    values = path.vector + by * way / np.linalg.norm(way)
    return dataclasses.replace(path, values=values.astype("<f4").tobytes())


def verified_before(db: Session, name: str) -> None:
    made = EpisodeRow(
        episode=name, state=EpisodeState.VERIFIED, robot="0x", operator="0x", task="lift", created_ms=0, tries=0
    )
    db.add(made)
    db.flush()


def test_a_motion_is_refused_by_the_nearest_of_its_twins(hub: Hub) -> None:
    random = np.random.default_rng(6)
    path = some_path(random)
    with hub.database() as db, db.begin():
        for name, share in (("far", 0.8), ("near", 0.2)):
            verified_before(db, name)
            motions.add(db, name, Motion(None, (moved(random, path, share * NEAR["hands"]),), b""), replayed=False)
    assert twin(hub.database, path) == "near"


@pytest.mark.parametrize(("replayed", "found"), [(True, None), (False, "kept")])
def test_joints_that_are_alike_are_no_copy_in_a_simulation_if_the_hands_do_not_go_far(
    hub: Hub, *, replayed: bool, found: str | None
) -> None:
    """A real robot's hand is wherever its host says."""
    joints = MotionPath("joints", 3, np.linspace(0.0, 0.1, 3 * POINTS).astype("<f4").tobytes())
    motion = Motion(None, (joints,), world_of(0.4))
    with hub.database() as db, db.begin():
        verified_before(db, "kept")
        motions.add(db, "kept", motion, replayed=True)
    with hub.database() as db:
        twin = motions.twin(db, motion, replayed=replayed)
    assert (twin.episode if twin else None) == found


def world_of(x: float) -> bytes:
    return np.full((1, 9), x, "<f4").tobytes()
