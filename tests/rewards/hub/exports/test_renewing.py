"""A release whose operator's consent has ended gives way by itself; what all releases may take is bounded."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update

from rewards.datasets.version import DatasetVersion
from rewards.hub.apart import WorkError
from rewards.hub.exports import archives
from rewards.hub.exports.releasing import FREE_BYTES, Releasing
from rewards.tables import JobRow
from tests.rewards.datasets.sets import NAME
from tests.rewards.hub.exports.ordering_hub import JOINTS, Hub, opened

FILE = f"/datasets/{NAME}/resolve"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with opened(tmp_path) as served:
        yield served


def release(hub: Hub, version: int) -> str:
    """Release a version, and return its job."""
    made = hub.post(f"/api/sets/{NAME}/versions/{version}/release", JOINTS).json()["id"]
    found = hub.ended(made)
    assert found["state"] == "done", found
    return str(made)


def without(hub: Hub, before: DatasetVersion, episode: str) -> DatasetVersion:
    """Make the version without an episode, as it is made when consent ends."""
    kept = tuple(one for one in before.episodes if one.episode != episode)
    changed = {"version": before.version + 1, "previous": before.digest, "episodes": kept}
    made = msgspec.structs.replace(before, **changed)
    hub.versions.made.append(made)
    hub.versions.gone = {episode}
    return made


def renewed(hub: Hub) -> list[str]:
    return [job.id for job in hub.giving._renewing.renew()]


def test_when_consent_ends_the_version_without_it_is_released_by_itself(hub: Hub) -> None:
    release(hub, 2)
    assert renewed(hub) == []
    (before,) = (one for one in hub.versions.made if one.version == 2)
    after = without(hub, before, "e0")
    (job,) = renewed(hub)
    assert hub.ended(job)["state"] == "done"
    assert hub.ended(job)["set"] == f"{NAME}@3"
    assert renewed(hub) == [], "once"
    hub.giving.releases._seen.clear()
    down = hub.client.get(f"{FILE}/version-2/meta/info.json")
    assert (down.status_code, down.json()["error"]["code"]) == (410, "taken_down")
    assert "take main, which is version-3" in down.json()["error"]["message"]
    given = hub.client.get(f"{FILE}/main/meta/version.json")
    assert given.content == after.encode()
    asyncio.run(hub.giving.sweep())
    assert [path.name for path in (hub.work / "released").iterdir()] == [after.digest]
    assert hub.client.get(f"{FILE}/version-2/meta/info.json").status_code == 410
    assert hub.giving.releases.when([before.digest, after.digest]).keys() == {after.digest}


def test_a_set_of_which_nothing_was_released_stays_so(hub: Hub) -> None:
    without(hub, hub.versions.made[-1], "e0")
    assert renewed(hub) == []


def test_a_release_that_failed_is_not_asked_for_again_at_once(hub: Hub) -> None:
    release(hub, 2)
    without(hub, hub.versions.made[-1], "e0")
    (hub.work / "bundles/e1/receipt.json").unlink()
    (job,) = renewed(hub)
    assert hub.ended(job)["state"] == "failed"
    assert renewed(hub) == []
    with hub.database() as db, db.begin():
        db.execute(update(JobRow).where(JobRow.id == job).values(ended_ms=1))
    assert renewed(hub) == [job]
    hub.ended(job)


def test_no_more_is_released_than_there_is_room_for_and_nothing_in_use_is_erased(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(hub, 1)
    kind = hub.giving.releasing
    monkeypatch.setattr(kind, "_bytes_max", kind._taken())
    made = hub.post(f"/api/sets/{NAME}/versions/2/release", JOINTS).json()["id"]
    found = hub.ended(made)
    assert (found["state"], "released data sets take all of the" in found["error"]) == ("failed", True)
    monkeypatch.setattr(kind, "_bytes_max", kind._taken() + 1000)
    made = hub.post(f"/api/sets/{NAME}/versions/2/release", JOINTS).json()["id"]
    assert "this release may take 0.0 GB here" in hub.ended(made)["error"]
    assert hub.client.get(f"{FILE}/main/meta/info.json").status_code == 200
    assert len([*(hub.work / "released").iterdir()]) == 1, "nothing half-written is left"


def _full(_path: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("kind", ["release", "export"])
def test_a_full_disk_is_a_named_failure_and_leaves_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Done in this process, whose disk is full when the last file is to be made durable."""
    asked = {"name": NAME, "version": 1, "digest": hub.versions.made[0].digest, "format": "robomimic", "order": JOINTS}
    made: Releasing | archives.Exports = hub.giving.releasing if kind == "release" else hub.giving.archives
    work: Callable[..., object] = made.work("one", asked)
    where = "recorder.export.target.sync_file" if kind == "release" else "rewards.hub.exports.archives.sync_file"
    monkeypatch.setattr(where, _full)
    with pytest.raises(WorkError, match=r"(disk is full|No space left)"):
        work(lambda what, done, total: None)
    assert [*(hub.work / ("released" if kind == "release" else "exports")).iterdir()] == []


def test_a_disk_that_is_nearly_full_costs_the_archive_that_was_not_used_for_longest(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [hub.export(set=f"{NAME}@{number}").json()["id"] for number in (1, 2)]
    for place, job in enumerate(jobs):
        assert hub.ended(job)["state"] == "done"
        with hub.database() as db, db.begin():
            db.execute(update(JobRow).where(JobRow.id == job).values(used_ms=10 - place))
    free = iter([0, 2 * FREE_BYTES])
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: type("Usage", (), {"free": next(free)}))
    assert hub.giving.archives.make_room() == [jobs[1]]
    assert [path.stem for path in (hub.work / "exports").iterdir()] == [jobs[0]]
