"""Downloads episodes: many at once, each checked against what was promised, and made whole again if it is not.

Small episodes come many in one request, large ones one by one, from where an earlier try ended. A folder appears whole
or not at all. What a hub answers is not believed: no name leads out of the target's folder, and an episode's file must
have the SHA-256 and the size that its manifest, and the list that asked for it, say.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final

import httpx

from armshare.client import code_of, message_of
from armshare.failures import PlatformError
from armshare.researcher.sealed import SEALED_FILE, KeyRefusedError, key_of, open_sealed
from armshare.researcher.whole import Blocks, BrokenOffError, Wanted, copied, fault, part_of, require_named, unpacked
from recorder.file.sealed import SealBrokenError, sealed_size
from recorder.proof.bundle import BUNDLE_FILES, SCORE_FILE, SMALL_FILE_BYTES_MAX
from recorder.proof.manifest import EPISODE_FILE

WORKERS: Final = 4
"""How many requests are open at the same time."""
_TOGETHER: Final = 50
_TOGETHER_BYTES: Final = 64 << 20
_ALONE_BYTES: Final = 16 << 20
"""Files of this size come by themselves, and by ranges, as do private ones."""
_TRIES: Final = 4
_BUSY: Final = (429, 503)
_NO_ROUTE: Final = "http_404"


class Outcome(StrEnum):
    """What became of one episode."""

    THERE = "there"
    """It was there already, whole."""
    FETCHED = "fetched"
    REPAIRED = "repaired"
    """It was there, and not what it should be."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Got:
    """What became of one episode, and why, if it failed or was repaired."""

    episode: str
    outcome: Outcome
    why: str = ""


class Downloads:
    """Downloads into one folder from one hub."""

    def __init__(
        self,
        client: httpx.Client,
        target: Path,
        *,
        workers: int = WORKERS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Use a client that may be shared by threads. `pause` waits between tries."""
        self._client, self._target, self._workers, self._pause = client, target, workers, pause

    def run(self, wanted: Iterable[Wanted]) -> Iterator[Got]:
        """Yield what became of each, as it ends; raise httpx.TransportError if there is no hub any more."""
        batches = _batches(wanted)
        with ThreadPoolExecutor(self._workers, thread_name_prefix="download") as pool:
            running: set[Future[list[Got]]] = set()
            try:
                while True:
                    running |= {pool.submit(self._batch, one) for one in islice(batches, self._workers - len(running))}
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for one in done:
                        yield from one.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _batch(self, batch: Sequence[Wanted]) -> list[Got]:
        self._target.mkdir(parents=True, exist_ok=True)
        found, missing = [], []
        for one in batch:
            wrong = self._fault(one)
            if wrong is None:
                found.append(self._there(one.episode))
            else:
                missing.append((one, wrong))
        if len(missing) == 1 and (missing[0][0].size >= _ALONE_BYTES or missing[0][0].private):
            return [*found, self._alone(*missing[0])]
        return [*found, *self._together(missing)]

    def _there(self, episode: str) -> Got:
        """Fetch the score of an episode that is whole, if it has none beside it: there may be one by now."""
        folder, part = self._target / episode, part_of(self._target, episode)
        if not os.path.lexists(folder / SCORE_FILE):
            part.mkdir(exist_ok=True)
            try:
                self._score(episode)
            except (_RefusedError, httpx.TransportError) as error:
                return Got(episode, Outcome.FAILED, f"its {SCORE_FILE} did not come: {error}")
            if (part / SCORE_FILE).exists():
                (part / SCORE_FILE).replace(folder / SCORE_FILE)
            _emptied(part)
        return Got(episode, Outcome.THERE)

    def _fault(self, one: Wanted) -> str | None:
        """Return what is wrong with a folder; empty if it is not there, None if it is whole."""
        folder = self._target / require_named(one.episode)
        if not os.path.lexists(folder):
            return ""
        if folder.is_symlink() or not folder.is_dir():
            raise PlatformError(f"{folder} is in the place of an episode's folder. Move it away.")
        return fault(folder, one) or None

    def _together(self, missing: list[tuple[Wanted, str]]) -> list[Got]:
        """Fetch several in one answer; what did not come, or came damaged, is asked for again."""
        found: list[Got] = []
        whys: dict[str, str] = {}
        for tried in range(_TRIES):
            if not missing:
                break
            if tried:
                self._pause(2.0 ** (tried - 1))
            arrived: set[str] = set()
            try:
                for one, wrong in self._received(missing, whys):
                    arrived.add(one.episode)
                    found.append(Got(one.episode, Outcome.REPAIRED if wrong else Outcome.FETCHED, wrong))
            except (BrokenOffError, httpx.TransportError) as error:
                whys |= dict.fromkeys((one.episode for one, _ in missing), f"the answer broke off ({error})")
                if tried == _TRIES - 1 and isinstance(error, httpx.ConnectError):
                    raise
            except _RefusedError as error:
                if error.answer.status_code not in _BUSY:
                    return [*found, *self._refused(missing, error)]
                whys |= dict.fromkeys((one.episode for one, _ in missing), str(error))
            missing = [(one, wrong) for one, wrong in missing if one.episode not in arrived]
        return [
            *found,
            *(Got(one.episode, Outcome.FAILED, whys.get(one.episode, "it did not come")) for one, _ in missing),
        ]

    def _refused(self, missing: list[tuple[Wanted, str]], error: _RefusedError) -> list[Got]:
        """Fetch each by itself: one of them is not given out, or the hub is older than the route for several."""
        if len(missing) > 1:
            return [got for one in missing for got in self._together([one])]
        if code_of(error.answer) == _NO_ROUTE:
            return [self._alone(*missing[0])]
        return [Got(missing[0][0].episode, Outcome.FAILED, str(error))]

    def _received(self, missing: Sequence[tuple[Wanted, str]], whys: dict[str, str]) -> Iterator[tuple[Wanted, str]]:
        """Yield those that have come and are right; raise BrokenOffError if the answer ends before its end."""
        by_id = {one.episode: (one, wrong) for one, wrong in missing}
        with _stream(self._client, "POST", "/api/bundles", json={"episodes": list(by_id)}) as answer:
            for episode in unpacked(answer, self._target, {name: one for name, (one, _) in by_id.items()}):
                one, wrong = by_id[episode]
                said = self._placed(one)
                if said:
                    whys[episode] = f"the hub sent it damaged: {said}"
                else:
                    yield one, wrong

    def _alone(self, one: Wanted, wrong: str) -> Got:
        """Fetch a large one, from where an earlier try ended."""
        why = ""
        for tried in range(_TRIES):
            if tried:
                self._pause(2.0 ** (tried - 1))
            try:
                if not one.private:  # of such a one, its key says so
                    self._require_given_out(one.episode)
                for name in BUNDLE_FILES:
                    if one.private and name == EPISODE_FILE:
                        self._sealed(one)
                    else:
                        self._file(one, name)
                self._score(one.episode)
                why = self._placed(one)
                if not why:
                    return Got(one.episode, Outcome.REPAIRED if wrong else Outcome.FETCHED, wrong)
                why = f"the hub sent it damaged: {why}"
            except (BrokenOffError, httpx.TransportError) as error:
                why = f"the answer broke off ({error})"
                if tried == _TRIES - 1 and isinstance(error, httpx.ConnectError):
                    raise
            except SealBrokenError as error:
                why = f"what the hub sent does not open: {error}"
            except (_RefusedError, KeyRefusedError) as error:
                why = str(error)
                if error.answer.status_code not in _BUSY:
                    break
        return Got(one.episode, Outcome.FAILED, why)

    def _require_given_out(self, episode: str) -> None:
        """Raise _RefusedError if the hub would not send it with others, as one that its operator has withdrawn.

        The files of such a one stay at their addresses, for audits. Of the answer, nothing is read.
        """
        try:
            with _stream(self._client, "POST", "/api/bundles", json={"episodes": [episode]}):
                return
        except _RefusedError as error:
            if code_of(error.answer) != _NO_ROUTE:
                raise

    def _sealed(self, one: Wanted) -> None:
        """Fetch a private recording as the store has it, and open it here; what does not open is not kept."""
        part = part_of(self._target, one.episode)
        key = key_of(self._client, one.episode)
        self._file(replace(one, size=sealed_size(key.size)), SEALED_FILE)
        try:
            open_sealed(part / SEALED_FILE, part / EPISODE_FILE, key)
        except SealBrokenError:
            (part / EPISODE_FILE).unlink(missing_ok=True)
            raise
        finally:
            (part / SEALED_FILE).unlink(missing_ok=True)

    def _file(self, one: Wanted, name: str) -> None:
        """Append to what is there of a file, as far as it is of the same bytes."""
        part = part_of(self._target, one.episode)
        part.mkdir(exist_ok=True)
        path, large = part / name, name in (EPISODE_FILE, SEALED_FILE)
        most = one.size if large else SMALL_FILE_BYTES_MAX
        start = path.stat().st_size if large and path.exists() else 0
        if start == most:
            return
        headers = {"Range": f"bytes={start}-"} if 0 < start < most else {}
        if headers and name == EPISODE_FILE:  # a sealed file's own hash is not known: what does not fit does not open
            headers["If-Range"] = f'"{one.sha256}"'
        with _stream(self._client, "GET", f"/api/episodes/{one.episode}/files/{name}", headers=headers) as answer:
            goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
            with path.open("ab" if goes_on else "wb") as file:
                copied(Blocks(answer), file, most - (start if goes_on else 0), exact=False)
        if large and path.stat().st_size < most:
            raise BrokenOffError(f"after {path.stat().st_size:,} of {most:,} bytes")

    def _score(self, episode: str) -> None:
        try:
            url, path = f"/api/episodes/{episode}/files/{SCORE_FILE}", part_of(self._target, episode) / SCORE_FILE
            with _stream(self._client, "GET", url) as answer, path.open("wb") as file:
                copied(Blocks(answer), file, SMALL_FILE_BYTES_MAX, exact=False)
        except _RefusedError as error:
            if error.answer.status_code != httpx.codes.NOT_FOUND:
                raise

    def _placed(self, one: Wanted) -> str:
        """Put what has come in its place, if it is right; return what is wrong with it, and remove it."""
        part, folder = part_of(self._target, one.episode), self._target / one.episode
        wrong = fault(part, one)
        if wrong:
            for path in part.iterdir():
                path.unlink()
            return wrong
        if not folder.exists():
            part.rename(folder)
            return ""
        for name in (*BUNDLE_FILES, SCORE_FILE):
            if (part / name).exists() and not (name == SCORE_FILE and (folder / name).exists()):
                (part / name).replace(folder / name)
        _emptied(part)
        return ""


def _emptied(part: Path) -> None:
    for path in part.iterdir():
        path.unlink()
    part.rmdir()


class _RefusedError(Exception):
    """The hub refused, in a sentence."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(message_of(answer))
        self.answer = answer


@contextmanager
def _stream(client: httpx.Client, method: str, url: str, **asked: object) -> Iterator[httpx.Response]:
    with client.stream(method, url, **asked) as answer:  # type: ignore[arg-type]  # httpx's own keywords
        if answer.is_error:
            answer.read()
            raise _RefusedError(answer)
        yield answer


def _batches(wanted: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    """Yield what is asked for at once: small ones together, large ones alone."""
    some: list[Wanted] = []
    for one in wanted:
        if one.size >= _ALONE_BYTES or one.private:
            yield [one]
            continue
        if len(some) == _TOGETHER or sum(other.size for other in some) + one.size > _TOGETHER_BYTES:
            yield some
            some = []
        some.append(one)
    if some:
        yield some
