"""The host's side of an upload: every sealed bundle reaches the hub, however often the connection is cut.

A bundle lies in `sealed/` until the hub has it; then it moves to `uploaded/`, or to `refused/` with the hub's reason.
What was sealed first goes first. Asking twice is harmless, so nothing here needs to remember more than the folder.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx
import structlog

from recorder.file.files import move, write_atomic
from recorder.file.tus import TUS_VERSION
from recorder.proof import manifest as manifests
from recorder.proof.bundle import MANIFEST_FILE, SIGNATURES_FILE, SIGNATURES_JSON
from recorder.proof.manifest import EPISODE_FILE

_log = structlog.get_logger()
_BLOCK_BYTES: Final = 64 << 10
_REFUSAL_FILE: Final = "refusal.json"
_LOCATION_FILE: Final = "upload.txt"
_FINAL: Final = frozenset({"episode_state"})
_PASSING: Final = frozenset({401, 408, 409, 412, 423, 425, 429})
"""Answers that may be another tomorrow: a new token, a shorter queue, the rest of the bytes."""


class UploadFailedError(Exception):
    """The hub could not take a bundle now; it is sent again later."""


class UploadRefusedError(Exception):
    """The hub will never take this bundle; the message is the hub's."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after each failure in a row, seconds."""

    first_s: float = 0.5
    most_s: float = 60.0

    def wait_s(self, failures: int) -> float:
        """Return the wait after so many failures."""
        return min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))


class Uploader:
    """Uploads bundles from one folder. `run` in a thread; `wake` and `stop` from any."""

    def __init__(
        self,
        folder: Path,
        client: httpx.Client,
        token: Callable[[], str],
        backoff: Backoff | None = None,
    ) -> None:
        """`folder` is the recorder's; `client` has the hub's base URL; `token` gives the upload token, "" offline.

        Whoever comes online again calls `wake`.
        """
        self._folder, self._client, self._token = folder, client, token
        self._backoff = backoff or Backoff()
        self._work = threading.Condition()
        self._waking = False
        self._stopping = False

    def wake(self) -> None:
        """Look into the folder now: an episode has been sealed, or the network is back."""
        with self._work:
            self._waking = True
            self._work.notify_all()

    def stop(self) -> None:
        """End `run` after the request that is under way."""
        with self._work:
            self._stopping = True
            self._work.notify_all()

    def run(self) -> None:
        """Upload what waits, then wait for more, until `stop`."""
        failures = 0
        while not self._stopping:
            try:
                if self._token():
                    self.upload_pending()
                failures = 0
                self._rest(None)
            except (UploadFailedError, httpx.TransportError, OSError) as error:
                failures += 1
                wait_s = self._backoff.wait_s(failures)
                _log.warning("upload failed", error=str(error), again_in_s=wait_s)
                self._rest(wait_s)

    def upload_pending(self) -> list[str]:
        """Upload every bundle that waits, oldest first; return the episodes that the hub took.

        Raises UploadFailedError or httpx.TransportError where some must be sent again.
        """
        taken: list[str] = []
        failed: UploadFailedError | None = None
        for bundle in self.pending():
            if self._stopping:
                break
            try:
                state = self._upload(bundle)
            except UploadRefusedError as error:
                self._refused(bundle, error)
                continue
            except UploadFailedError as error:
                failed = error  # one bundle that the hub stumbles over does not hold up the others
                continue
            (bundle / _LOCATION_FILE).unlink(missing_ok=True)
            move(bundle, self._folder / "uploaded" / bundle.name)
            _log.info("episode uploaded", episode=bundle.name, state=state)
            taken.append(bundle.name)
        if failed is not None:
            raise failed
        return taken

    def pending(self) -> list[Path]:
        """Return the bundles that wait, in the order in which they were sealed."""
        folders = [path for path in (self._folder / "sealed").iterdir() if path.is_dir()]
        return sorted(folders, key=lambda path: ((path / SIGNATURES_FILE).stat().st_mtime_ns, path.name))

    def _rest(self, timeout_s: float | None) -> None:
        with self._work:
            self._work.wait_for(lambda: self._waking or self._stopping, timeout_s)
            self._waking = False

    def _upload(self, bundle: Path) -> str:
        file = bundle / EPISODE_FILE
        length = file.stat().st_size
        location, offset = self._resume(bundle)
        if location is None:
            location, offset = self._create(bundle, length), 0
        if offset < length:
            self._send(location, file, offset)
        return self._seal(bundle, location.rpartition("/")[2])

    def _resume(self, bundle: Path) -> tuple[str | None, int]:
        """Return where an upload that was begun before stands, or None."""
        noted = bundle / _LOCATION_FILE
        if not noted.exists():
            return None, 0
        location = noted.read_text().strip()
        answer = self._client.head(location, headers=self._headers())
        if answer.status_code == httpx.codes.NOT_FOUND:
            # The hub may have the whole bundle already, and the answer was lost: then sealing again says so.
            return (location, (bundle / EPISODE_FILE).stat().st_size) if self._known(bundle.name) else (None, 0)
        _require(answer)
        return location, int(answer.headers["Upload-Offset"])

    def _known(self, episode: str) -> bool:
        answer = self._client.get(f"/api/episodes/{episode}/manifest", headers=self._headers())
        return answer.status_code == httpx.codes.OK

    def _create(self, bundle: Path, length: int) -> str:
        named = base64.b64encode(bundle.name.encode()).decode()
        extra = {"Upload-Length": str(length), "Upload-Metadata": f"episode {named}"}
        answer = self._client.post("/api/uploads", headers=self._headers() | extra)
        _require(answer)
        location: str = answer.headers["Location"]
        write_atomic(bundle / _LOCATION_FILE, location.encode())
        return location

    def _send(self, location: str, file: Path, offset: int) -> None:
        extra = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        extra["Content-Length"] = str(file.stat().st_size - offset)
        with file.open("rb") as data:
            data.seek(offset)
            answer = self._client.patch(location, headers=self._headers() | extra, content=_blocks(data))
        _require(answer)

    def _seal(self, bundle: Path, upload: str) -> str:
        text = (bundle / MANIFEST_FILE).read_bytes()
        signatures = SIGNATURES_JSON.decode((bundle / SIGNATURES_FILE).read_bytes())
        body = {"manifest": text.decode(), "robot_signature": signatures.robot, "upload": upload}
        episode = manifests.decode(text).episode
        answer = self._client.post(f"/api/episodes/{episode}/seal", json=body, headers=self._headers())
        if _code(answer) == "unknown_upload":
            (bundle / _LOCATION_FILE).unlink(missing_ok=True)
            raise UploadFailedError(f"{episode}: the hub lost the upload {upload}; it is sent from the beginning")
        _require(answer)
        return str(answer.json()["state"])

    def _refused(self, bundle: Path, error: UploadRefusedError) -> None:
        write_atomic(bundle / _REFUSAL_FILE, json.dumps({"refusal": str(error)}).encode())
        move(bundle, self._folder / "refused" / bundle.name)
        _log.error("episode refused by the hub", episode=bundle.name, refusal=str(error))

    def _headers(self) -> dict[str, str]:
        token = self._token()
        if not token:
            raise UploadFailedError("the connection to the hub was lost; it goes on once it is back")
        return {"Authorization": f"Bearer {token}", "Tus-Resumable": TUS_VERSION}


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block


def _require(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    passing = answer.status_code in _PASSING and _code(answer) not in _FINAL
    said = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {_message(answer)}"
    if passing or not answer.is_client_error:
        raise UploadFailedError(said)
    raise UploadRefusedError(said)


def _code(answer: httpx.Response) -> str:
    """Return the name by which the hub refuses, or nothing."""
    try:
        return "" if answer.is_success else str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _message(answer: httpx.Response) -> str:
    try:
        error: Any = answer.json()["error"]
        return f"{error.get('gate', error['code'])}: {error['message']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.text[:200]
