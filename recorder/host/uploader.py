"""The host's side of an upload: every sealed bundle reaches the hub, however often the connection is cut.

A bundle stays in `sealed/` until the hub has it; then it moves to `uploaded/`, or to `refused/` with the hub's reason.
What was sealed first is sent first. Every request may be repeated, so the folder is all the state there is.
An answer may be anything, such as a proxy's page: a bundle is set aside only if the hub itself refuses it for good.
Its file goes in pieces that any proxy takes, and smaller ones while they do not get through.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import structlog

from recorder.file.tus import TUS_VERSION
from recorder.proof import manifest as manifests
from recorder.proof.bundle import MANIFEST_FILE, SIGNATURES_FILE, SIGNATURES_JSON
from recorder.proof.manifest import EPISODE_FILE
from teleop.files import move, write_atomic

_log = structlog.get_logger()
PIECE_BYTES_MAX: Final = 512 << 10
"""The largest piece of a file: half of what nginx takes unless it is told otherwise."""
PIECE_BYTES_MIN: Final = 16 << 10
_GROW_AFTER: Final = 8
"""How many pieces in a row must get through before a larger one is tried."""
ANSWER_BYTES_MAX: Final = 256 << 10
"""More than any answer needs; what comes after it is not read."""
_UPLOADS: Final = "/api/uploads"
_LOCATION: Final = re.compile(r"[^?#\s]*/api/uploads/([A-Za-z0-9]{1,64})")
"""Where the hub, or a proxy before it, says that an upload is. Only the id is used: the token goes to the hub alone."""
_OFFSET: Final = re.compile(r"[0-9]{1,18}")
_REFUSAL_FILE: Final = "refusal.json"
_LOCATION_FILE: Final = "upload.txt"
_SAID: Final = 500
"""How many characters of the hub's message are kept."""
_FINAL: Final = frozenset({"refused", "episode_state", "unknown_episode", "episode_id", "upload_too_large"})
"""The hub's codes by which it will never take a bundle. Any other answer may be another one on a later try."""


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


class _Pieces:
    """How large the next piece is: half of one that failed, and the double once some have got through."""

    def __init__(self) -> None:
        self.size = self._most = PIECE_BYTES_MAX
        self._passed = 0

    def failed(self, size: int, *, too_large: bool) -> None:
        """A piece of this size did not get through; if it was too large for a proxy, none so large is tried again."""
        self.size, self._passed = max(PIECE_BYTES_MIN, size // 2), 0
        if too_large:
            self._most = self.size

    def passed(self) -> None:
        """A piece got through."""
        self._passed += 1
        if self._passed >= _GROW_AFTER:
            self.size, self._passed = min(self._most, 2 * self.size), 0


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

    @property
    def lost(self) -> bool:
        """Whether the hub itself says that it has no such upload; an answer to HEAD has no body to tell it by."""
        return self.status == httpx.codes.NOT_FOUND and "Tus-Resumable" in self.headers

    def require(self) -> None:
        """Raise UploadRefusedError if the hub refuses for good, UploadFailedError for anything else but success."""
        if 200 <= self.status < 300:
            return
        error = self.error
        if error is None:
            text = " ".join(self.body[:_SAID].decode(errors="replace").split())
            raise UploadFailedError(f"{self.request}: {self.status}, not the hub's own answer: {text or 'no text'}")
        said = f"{self.request}: {self.status} {self.gate or error[0]}: {error[1]}"
        if error[0] in _FINAL and 400 <= self.status < 500:
            raise UploadRefusedError(said)
        raise UploadFailedError(said)


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
        self._pieces, self._moved = _Pieces(), False
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
                failures, self._moved = 1 if self._moved else failures + 1, False
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
        self._send(location, file, offset)
        return self._seal(bundle, location.rpartition("/")[2])

    def _resume(self, bundle: Path) -> tuple[str | None, int]:
        """Return the location and offset of an upload begun earlier; (None, 0) if there is none."""
        noted, length = bundle / _LOCATION_FILE, (bundle / EPISODE_FILE).stat().st_size
        location = _place(noted.read_text(errors="replace").strip()) if noted.exists() else None
        if location is None:
            return None, 0
        answer = self._ask("HEAD", location)
        if answer.lost:
            # The hub may have the whole bundle, and only its answer was lost: sealing again then gets that answer.
            return (location, length) if self._known(bundle.name) else (None, 0)
        answer.require()
        return location, _offset_in(answer, length)

    def _known(self, episode: str) -> bool:
        return self._ask("GET", f"/api/episodes/{episode}/manifest").status == httpx.codes.OK

    def _create(self, bundle: Path, length: int) -> str:
        named = base64.b64encode(bundle.name.encode()).decode()
        extra = {"Upload-Length": str(length), "Upload-Metadata": f"episode {named}"}
        answer = self._ask("POST", _UPLOADS, extra)
        answer.require()
        said = answer.headers.get("Location", "")
        location = _place(said)
        if location is None:
            raise UploadFailedError(f"{answer.request}: expected a Location at the hub, got {said[:_SAID]!r}")
        write_atomic(bundle / _LOCATION_FILE, location.encode())
        return location

    def _send(self, location: str, file: Path, offset: int) -> None:
        length = file.stat().st_size
        with file.open("rb") as data:
            while offset < length:
                if self._stopping:
                    raise UploadFailedError(
                        f"{file.parent.name}: stopped at {offset} of {length} bytes; the rest waits"
                    )
                data.seek(offset)
                offset = self._append(location, offset, data.read(self._pieces.size))

    def _append(self, location: str, offset: int, piece: bytes) -> int:
        """Send one piece, and return the upload's new offset."""
        extra = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        status = 0
        try:
            answer = self._ask("PATCH", location, extra, content=piece)
            status = answer.status
            answer.require()
            end = _offset_in(answer, offset + len(piece))
        except (UploadFailedError, httpx.TransportError):
            self._pieces.failed(len(piece), too_large=status == httpx.codes.REQUEST_ENTITY_TOO_LARGE)
            raise
        if end <= offset:
            raise UploadFailedError(f"{answer.request}: expected an Upload-Offset above {offset}, got {end}")
        self._pieces.passed()
        self._moved = True
        return end

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


def _place(location: str) -> str | None:
    """Return the path of an upload at the hub, wherever a proxy has put it; None if `location` is not an upload's."""
    found = _LOCATION.fullmatch(location)
    return None if found is None else f"{_UPLOADS}/{found[1]}"


def _offset_in(answer: _Answer, most: int) -> int:
    """Return the Upload-Offset of an answer; raise UploadFailedError if there is none up to `most`."""
    said = answer.headers.get("Upload-Offset", "")
    if not _OFFSET.fullmatch(said) or int(said) > most:
        raise UploadFailedError(f"{answer.request}: expected an Upload-Offset up to {most}, got {said[:_SAID]!r}")
    return int(said)


def _sealed_ns(bundle: Path) -> int:
    """Return when a bundle was sealed, ns; 0 if it has no signatures.json."""
    signatures = bundle / SIGNATURES_FILE
    return signatures.stat().st_mtime_ns if signatures.exists() else 0
