"""What is scored and read by a worker elsewhere is what is scored and read here, to the last bit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from recorder.file.episode import UnreadableFileError
from recorder.hub.store.bucket import FileInBucket
from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects
from recorder.hub.work.named import Files, performed
from rewards.hub.datasets.cards import facts_in_file
from rewards.hub.judging import Judged, judge
from rewards.hub.kinds import CALLS
from rewards.hub.scoring import judged_in
from rewards.score.versions import VERSIONS, UnknownRulesError
from tests.recorder.bundles import record

NAMED = {one.name: one for one in CALLS}


def stored(folder: Path, data: bytes) -> tuple[Files, FileInBucket]:
    """Put a recording in a bucket in memory."""
    objects = Objects.in_memory()
    objects.put("objects/x", data)
    files = Files(objects, Cache(folder / "cache"))
    return files, FileInBucket(objects, files.cache, "objects/x", len(data), hashlib.sha256(data).hexdigest())


def by_a_worker(name: str, files: Files, *arguments: object) -> object:
    asked = NAMED[name].encoded(*arguments)
    assert asked is not None
    return NAMED[name].result(performed(NAMED, name, asked, files, lambda *_: None))


def test_a_worker_elsewhere_judges_as_one_here(tmp_path: Path) -> None:
    files, file = stored(tmp_path, record(tmp_path).read_bytes())
    for version in (None, *VERSIONS):
        assert by_a_worker("judge", files, judge, file, version) == judged_in(judge, file, version)
    assert by_a_worker("facts", files, file) == facts_in_file(file)
    assert by_a_worker("facts", files, file, True) == facts_in_file(file, True)
    with pytest.raises(UnknownRulesError, match="expected one of the versions of the rules"):
        by_a_worker("judge", files, judge, file, "99")
    files, damaged = stored(tmp_path, b"no episode")
    with pytest.raises(UnreadableFileError):
        by_a_worker("judge", files, judge, damaged, None)


def another(_file: Path, _version: str | None) -> Judged:
    """Judge by other rules than the platform's."""
    raise AssertionError("it was to be done here")


def test_other_rules_than_the_platforms_do_not_travel(tmp_path: Path) -> None:
    _, file = stored(tmp_path, b"x")
    assert NAMED["judge"].encoded(another, file, None) is None
