"""The host's side of an upload: every sealed bundle reaches the hub, however often the connection is cut.

A bundle stays in `sealed/` until the hub has it; then it moves to `uploaded/`, or to `refused/` with the hub's reason.
What was sealed first is sent first. Every request may be repeated, so the folder is all the state there is.
An answer may be anything, such as a proxy's page: a bundle is set aside only if the hub itself refuses it.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx
import msgspec
import structlog

from recorder.file.files import move, write_atomic
from recorder.file.tus import TUS_VERSION
from recorder.proof import manifest as manifests
from recorder.proof.bundle import MANIFEST_FILE, SIGNATURES_FILE, SIGNATURES_JSON
from recorder.proof.manifest import EPISODE_FILE

_log = structlog.get_logger()
_BLOCK_BYTES: Final = 64 << 10
ANSWER_BYTES_MAX: Final = 256 << 10
"""More than any answer needs; what comes after it is not read."""
_LOCATION: Final = re.compile(r"(/[A-Za-z0-9_~-]+)+")
"""A path at the hub: the token is sent nowhere else."""
_OFFSET: Final = re.compile(r"[0-9]{1,18}")
_REFUSAL_FILE: Final = "refusal.json"
_LOCATION_FILE: Final = "upload.txt"
_SAID: Final = 500
"""How many characters of the hub's message are kept."""
_FINAL: Final = frozenset({"episode_state"})
_PASSING: Final = frozenset({401, 408, 409, 412, 423, 425, 429})
"""Statuses that may change on a later try: after a new token, a shorter queue, or the rest of the bytes."""


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
        """Return the wait after this many failures."""
        return min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))


@dataclass(frozen=True, slots=True)
class _Answer:
    """The answer to a request, as far as it was read."""

    request: str
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def error(self) -> tuple[str, str] | None:
        """The hub's error code and message; None if the answer is not the hub's own error."""
        found = self.json.get("error") if isinstance(self.json, dict) else None
        if not isinstance(found, dict) or not isinstance(found.get("code"), str):
            return None
        return found["code"], str(found.get("message"))[:_SAID]

    @property
    def gate(self) -> str:
        """The gate that refused an episode; empty if none did."""
        return str(self.json["error"].get("gate", "")) if self.error is not None else ""

    @property
    def json(self) -> Any:
        """The answer's JSON value; None if the body is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def require(self) -> None:
        """Raise UploadRefusedError if the hub refuses for good, UploadFailedError for anything else but success."""
        if 200 <= self.status < 300:
            return
        error = self.error
        said = "" if error is None else f"{self.gate or error[0]}: {error[1]}"
        said = f"{self.request}: {self.status} {said or self.body[:_SAID].decode(errors='replace')}"
        passing = error is None or (self.status in _PASSING and error[0] not in _FINAL)
        if passing or not 400 <= self.status < 500:
            raise UploadFailedError(said)
        raise UploadRefusedError(said)


class Uploader:
    """Uploads bundles from one folder. `run` in a thread; `wake` and `stop` from any."""

    def __init__(
        self,
        folder: Path,
        client: httpx.Client,
        token: Callable[[], str],
        backoff: Backoff | None = None,
    ) -> None:
        """`folder` is the recorder's; `client` has the hub's base URL; `token` returns the upload token, "" offline.

        Call `wake` when the connection is back.
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
        """End `run` after the current request."""
        with self._work:
            self._stopping = True
            self._work.notify_all()

    def run(self) -> None:
        """Upload the waiting bundles, then wait for more, until `stop`."""
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
            except Exception:  # noqa: BLE001  the supervisor: whatever it was, the bundles still wait
                failures += 1
                wait_s = self._backoff.wait_s(failures)
                _log.exception("upload broke", again_in_s=wait_s)
                self._rest(wait_s)

    def upload_pending(self) -> list[str]:
        """Upload every waiting bundle, oldest first; return the episodes that the hub took.

        Raises UploadFailedError or httpx.TransportError if some must be sent again.
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
                failed = error  # one bundle that fails does not hold up the others
                continue
            except (OSError, msgspec.MsgspecError, manifests.ManifestError, UnicodeError) as error:
                failed = UploadFailedError(f"{bundle.name} cannot be read: {error}; look at it in {bundle.parent}")
                continue
            (bundle / _LOCATION_FILE).unlink(missing_ok=True)
            move(bundle, self._folder / "uploaded" / bundle.name)
            _log.info("episode uploaded", episode=bundle.name, state=state)
            taken.append(bundle.name)
        if failed is not None:
            raise failed
        return taken

    def pending(self) -> list[Path]:
        """Return the waiting bundles, in the order in which they were sealed."""
        folders = [path for path in (self._folder / "sealed").iterdir() if path.is_dir()]
        return sorted(folders, key=lambda path: (_sealed_ns(path), path.name))

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
        """Return the location and offset of an upload begun earlier; (None, 0) if there is none."""
        noted, length = bundle / _LOCATION_FILE, (bundle / EPISODE_FILE).stat().st_size
        location = noted.read_text(errors="replace").strip() if noted.exists() else ""
        if not _LOCATION.fullmatch(location):
            return None, 0
        answer = self._ask("HEAD", location)
        if answer.status == httpx.codes.NOT_FOUND:
            # The hub may have the whole bundle, and only its answer was lost: sealing again then gets that answer.
            return (location, length) if self._known(bundle.name) else (None, 0)
        answer.require()
        offset = answer.headers.get("Upload-Offset", "")
        if not _OFFSET.fullmatch(offset) or int(offset) > length:
            expected = f"expected an Upload-Offset up to {length}"
            raise UploadFailedError(f"{answer.request}: {expected}, got {offset[:_SAID]!r}")
        return location, int(offset)

    def _known(self, episode: str) -> bool:
        return self._ask("GET", f"/api/episodes/{episode}/manifest").status == httpx.codes.OK

    def _create(self, bundle: Path, length: int) -> str:
        named = base64.b64encode(bundle.name.encode()).decode()
        extra = {"Upload-Length": str(length), "Upload-Metadata": f"episode {named}"}
        answer = self._ask("POST", "/api/uploads", extra)
        answer.require()
        location: str = answer.headers.get("Location", "")
        if not _LOCATION.fullmatch(location):
            raise UploadFailedError(f"{answer.request}: expected a Location at the hub, got {location[:_SAID]!r}")
        write_atomic(bundle / _LOCATION_FILE, location.encode())
        return location

    def _send(self, location: str, file: Path, offset: int) -> None:
        extra = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        extra["Content-Length"] = str(file.stat().st_size - offset)
        with file.open("rb") as data:
            data.seek(offset)
            self._ask("PATCH", location, extra, content=_blocks(data)).require()

    def _seal(self, bundle: Path, upload: str) -> str:
        text = (bundle / MANIFEST_FILE).read_bytes()
        signatures = SIGNATURES_JSON.decode((bundle / SIGNATURES_FILE).read_bytes())
        body = {"manifest": text.decode(), "robot_signature": signatures.robot, "upload": upload}
        episode = manifests.decode(text).episode
        answer = self._ask("POST", f"/api/episodes/{episode}/seal", json=body)
        if answer.error is not None and answer.error[0] == "unknown_upload":
            (bundle / _LOCATION_FILE).unlink(missing_ok=True)
            raise UploadFailedError(f"{episode}: the hub lost the upload {upload}; it is sent again from the start")
        answer.require()
        state = answer.json.get("state") if isinstance(answer.json, dict) else None
        if not isinstance(state, str):
            raise UploadFailedError(f"{answer.request}: expected a state, got {answer.body[:_SAID]!r}")
        return state

    def _ask(self, method: str, path: str, extra: Mapping[str, str] | None = None, **body: Any) -> _Answer:
        """Return the answer to a request, up to `ANSWER_BYTES_MAX`. Raises TransportError, UploadFailedError."""
        headers = {**self._headers(), "Accept-Encoding": "identity", **(extra or {})}
        try:
            with self._client.stream(method, path, headers=headers, **body) as answer:
                found = b""
                for block in answer.iter_bytes():
                    found += block
                    if len(found) >= ANSWER_BYTES_MAX:
                        break
        except httpx.TransportError:
            raise
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise UploadFailedError(f"{method} {path}: {error}") from error
        return _Answer(f"{method} {path}", answer.status_code, answer.headers, found[:ANSWER_BYTES_MAX])

    def _refused(self, bundle: Path, error: UploadRefusedError) -> None:
        write_atomic(bundle / _REFUSAL_FILE, json.dumps({"refusal": str(error)}).encode())
        move(bundle, self._folder / "refused" / bundle.name)
        _log.error("episode refused by the hub", episode=bundle.name, refusal=str(error))

    def _headers(self) -> dict[str, str]:
        token = self._token()
        if not token:
            raise UploadFailedError("the connection to the hub was lost; uploads continue once it is back")
        return {"Authorization": f"Bearer {token}", "Tus-Resumable": TUS_VERSION}


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block


def _sealed_ns(bundle: Path) -> int:
    """Return when a bundle was sealed, ns; 0 if it has no signatures.json."""
    signatures = bundle / SIGNATURES_FILE
    return signatures.stat().st_mtime_ns if signatures.exists() else 0
