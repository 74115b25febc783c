"""A private recording on its way here: it comes sealed, and is opened on this machine by the key that the hub gives.

Whoever sits between the hub and this machine, or keeps what the hub stores, has noise. What was opened is compared with
what the manifest names, like any other file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import msgspec

from armshare.client import message_of
from armshare.failures import PlatformError
from recorder.file.sealed import HEADER, SEGMENT_BYTES, SealBrokenError, Sealed, bound_to
from recorder.proof import manifest as manifests
from recorder.proof.bundle import BUNDLE_FILES, MANIFEST_FILE, SCORE_FILE, read_small
from recorder.proof.manifest import EPISODE_FILE, ManifestError

SEALED_FILE: Final = "episode.h5.sealed"
_TOGETHER: Final = 16 * SEGMENT_BYTES


class Key(msgspec.Struct, frozen=True):
    """What a hub says opens a sealed recording."""

    episode: str
    key: str
    digest: str
    header: str
    segment_bytes: int
    size: int
    sha256: str


_KEY: Final = msgspec.json.Decoder(Key)


class KeyRefusedError(Exception):
    """The hub gives no key, or an episode has none; `answer` is the hub's."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(message_of(answer))
        self.answer = answer


def key_of(client: httpx.Client, episode: str) -> Key:
    """Return the key of a private episode, as a signed-in wallet; raise KeyRefusedError, or PlatformError."""
    answer = client.get(f"/api/episodes/{episode}/key")
    if answer.is_error:
        raise KeyRefusedError(answer)
    try:
        found = _KEY.decode(answer.content)
    except msgspec.DecodeError as error:
        raise PlatformError(
            f"The hub's key of {episode} cannot be read ({error}). A newer armshare may read it."
        ) from error
    if (bytes.fromhex(found.header), found.segment_bytes, found.episode) != (HEADER, SEGMENT_BYTES, episode):
        raise PlatformError(f"The hub seals {episode} in a way that this armshare does not know. A newer one may.")
    return found


def open_sealed(source: Path, target: Path, key: Key) -> None:
    """Write what is in a sealed file, readable by its owner only; raise SealBrokenError."""
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with source.open("rb") as file, os.fdopen(descriptor, "wb") as opened:

        def read(start: int, end: int) -> bytes:
            return os.pread(file.fileno(), end - start, start)

        sealed = Sealed(read, key.size, bytes.fromhex(key.key), bound_to(key.episode, key.digest))
        sealed.require_whole(source.stat().st_size)
        for at in range(0, key.size, _TOGETHER):
            opened.write(sealed.read(at, min(at + _TOGETHER, key.size)))
        opened.flush()
        os.fsync(opened.fileno())


@contextmanager
def opened_folder(folder: Path, client: httpx.Client | None) -> Iterator[Path]:
    """Yield a bundle's folder; if its recording is sealed, another for as long as the block, in which it is open.

    `client` is signed in as a wallet that may read it. Raises PlatformError if it is None, if the hub gives no key, or
    if the recording does not open.
    """
    if (folder / EPISODE_FILE).exists() or not (folder / SEALED_FILE).exists():
        yield folder
        return
    if client is None:
        said = (
            f"The recording in {folder} is sealed. Name its hub with --hub, and a wallet that may read it with --key."
        )
        raise PlatformError(said)
    with TemporaryDirectory(prefix="armshare-") as made:
        whole = Path(made) / folder.name
        whole.mkdir()
        for name in (*BUNDLE_FILES, SCORE_FILE):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, whole / name)
        try:
            key = key_of(client, manifests.decode(read_small(folder / MANIFEST_FILE) or b"").episode)
            open_sealed(folder / SEALED_FILE, whole / EPISODE_FILE, key)
        except (KeyRefusedError, ManifestError, SealBrokenError) as error:
            raise PlatformError(f"The recording in {folder} cannot be opened: {error}") from error
        yield whole
