"""A file that both have signed may still hold anything: a hub refuses by name whatever the writer does not write."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import httpx
import msgspec
import pytest

from recorder.proof import manifest as manifests
from recorder.proof.bundle import MANIFEST_FILE, SIGNATURES_FILE
from recorder.proof.description import hash_file
from recorder.proof.manifest import FileEntry
from recorder.proof.seal import sign_as_robot
from tests.recorder.bundles import sealed_bundle
from tests.recorder.factory import DOMAIN, ROBOT
from tests.recorder.file.malformed import FOREIGN, REPACKED, Change, deflated, virtual_without_end
from tests.recorder.hub.test_api import seal, sign, upload
from tests.recorder.served import Hub, code


def sealed_with(folder: Path, change: Change) -> Path:
    """Return a bundle whose robot has sealed a changed file."""
    bundle = sealed_bundle(folder)
    file = bundle / "episode.h5"
    with h5py.File(file, "r+") as opened:
        change(opened)
    said = manifests.decode((bundle / MANIFEST_FILE).read_bytes())
    entry = FileEntry("episode.h5", file.stat().st_size, hash_file(file))
    data = msgspec.structs.replace(said, files=[entry]).encode()
    (bundle / MANIFEST_FILE).write_bytes(data)
    (bundle / SIGNATURES_FILE).write_bytes(sign_as_robot(data, ROBOT, DOMAIN).encode())
    return bundle


def always(change: Change) -> Callable[[Path], Change]:
    return lambda _folder: change


def bomb(_folder: Path) -> Change:
    return deflated(2, 64 << 20)


def virtual(folder: Path) -> Change:
    os.mkfifo(folder / "source.h5")
    return virtual_without_end(str(folder / "source.h5"))


CHANGES: dict[str, Callable[[Path], Change]] = {
    **{name: always(change) for name, (change, _) in (REPACKED | FOREIGN).items()},
    "a compression in a compression": bomb,
    "a virtual dataset that waits for a pipe": virtual,
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_signed_file_that_is_not_as_the_writer_makes_it_is_refused_by_name(
    tmp_path: Path, hub: Hub, web: httpx.Client, what: str
) -> None:
    bundle = sealed_with(tmp_path, CHANGES[what](tmp_path))
    hub.begin(bundle.name)
    assert seal(web, bundle, upload(web, bundle)).status_code == 202

    assert code(sign(web, bundle)) == (422, "EpisodeStructureInvalid")
    assert web.get(f"/api/episodes/{bundle.name}").json()["state"] == "rejected"


def test_a_file_that_nobody_signed_is_never_opened(
    tmp_path: Path, hub: Hub, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recorder.file.apart import Reader

    opened: list[Path] = []
    monkeypatch.setattr(Reader, "read", lambda self, path, *, plain=False: opened.append(path))
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    assert seal(web, bundle, upload(web, bundle)).status_code == 202

    assert code(sign(web, bundle, signature="0x" + 64 * "1" + 64 * "2" + "1b")) == (422, "OperatorSignatureInvalid")
    assert opened == []
