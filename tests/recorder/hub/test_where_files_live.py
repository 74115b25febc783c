"""Which store a hub has, by its settings; and uploads of which something is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from armshare.failures import PlatformError
from armshare.platform.hub import files_of
from armshare.settings import Settings
from recorder.hub.store import FolderStore, StoreLostError
from recorder.hub.store.bucket import BucketStore
from recorder.hub.store.objects import Objects
from recorder.hub.store.pieces import BucketPieces
from recorder.hub.store.sealing import SealingStore
from tests.recorder.factory import ROBOT
from tests.recorder.served import Hub
from tests.s3 import S3


def test_files_are_in_a_folder_unless_a_bucket_is_named(hub: Hub, s3: S3, tmp_path: Path) -> None:
    here = files_of(Settings(data=tmp_path / "here"), hub.database)
    there = files_of(Settings(data=tmp_path / "there", store=f"s3://{s3.bucket()}/lab/"), hub.database)

    kept = [one.store for one in (here.store, there.store) if isinstance(one, SealingStore)]
    assert [type(one) for one in kept] == [FolderStore, BucketStore], "what is private would not be sealed"
    there.store.write("episode-1", "manifest.json", b"{}")
    assert not (tmp_path / "there" / "episodes").exists()
    assert (here.move_in(), there.move_in()) == (0, 0)


def test_a_hub_whose_bucket_is_not_there_says_so_as_it_starts(hub: Hub, s3: S3, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"s3://nobody-has-it, where .* Check its name, and AWS_ENDPOINT_URL"):
        files_of(Settings(data=tmp_path, store="s3://nobody-has-it"), hub.database)


@pytest.mark.parametrize(
    "url", ["/tmp/episodes", "s3:/bucket", "s3://", "s3://a b", "https://bucket", "s3://ok/../up/ "]
)
def test_a_store_that_is_no_bucket_is_refused_as_a_setting(url: str) -> None:
    with pytest.raises(ValidationError, match="expected s3://BUCKET or s3://BUCKET/PREFIX"):
        Settings(store=url)


def test_what_could_not_be_removed_of_an_upload_is_removed_later(hub: Hub, s3: S3, tmp_path: Path, monkeypatch) -> None:
    second = Hub(tmp_path / "second", objects=Objects.at(f"s3://{s3.bucket()}"))
    for one in (hub, second):
        made = one.uploads.create("episode-1", ROBOT.address, 5)
        writer = one.uploads.write(made.upload, ROBOT.address, 0)
        writer.append(b"bytes")
        writer.close()
        kept = one.uploads.create("episode-2", ROBOT.address, 5)
        writer = one.uploads.write(kept.upload, ROBOT.address, 0)
        writer.append(b"other")
        writer.close()

        def away(*_: object, **__: object) -> None:
            raise StoreLostError("away")

        monkeypatch.setattr(BucketPieces, "remove", away)
        monkeypatch.setattr(Path, "unlink", away)
        with pytest.raises(StoreLostError):
            one.uploads.forget(made.upload, ROBOT.address)
        monkeypatch.undo()
        assert one.uploads.expire(0) == []
        assert one.uploads._pieces.uploads() == {kept.upload}
        assert one.uploads.find(kept.upload, ROBOT.address).offset == 5
    second.close()
