"""`armshare export NAMESPACE/NAME` and `armshare dataset release`: a hub does it, and what it made is brought here."""

from __future__ import annotations

import hashlib
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import httpx

from armshare.client import As, client_of, message_of
from armshare.failures import DoorError
from recorder.export.target import whole_file, whole_folder
from rewards.datasets.exporting import Order, Said

Tell = Callable[[str, int, int], None]
"""Is told what is being done, and of how many episodes or bytes it is done."""
WAIT_S: Final = 1
_PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_BLOCK: Final = 1 << 20
_ENTRIES_MAX: Final = 1_000_000


class OrderFailedError(DoorError):
    """The hub could not do it; the message is the hub's."""


class ArchiveError(DoorError):
    """What came is not the archive that the hub made, or would be written outside of its folder."""


def body(order: Order) -> dict[str, Any]:
    """Return an order as a hub takes it."""
    width, height = order.size
    return {
        "action": order.action,
        "camera": list(order.camera or ()),
        "size": f"{width}x{height}",
        "all_steps": order.all_steps,
        "language": order.language,
        "length": -1 if order.length is None else order.length,
    }


def ended(hub: str, job: Mapping[str, Any], tell: Tell, signed: As | None = None) -> dict[str, Any]:
    """Return a job once it is done, however long that takes, also if the hub goes away meanwhile.

    Raises OrderFailedError.
    """
    found, failures = dict(job), 0
    while found["state"] in ("queued", "running"):
        tell(found["what"] or found["state"], found["done"], found["total"])
        try:
            with client_of(hub, signed) as client:
                answer = client.get(f"/api/jobs/{job['id']}", params={"wait_s": WAIT_S})
                found, failures = answer.raise_for_status().json(), 0
        except DoorError as error:
            if not isinstance(error.__cause__, httpx.TransportError):
                raise
            tell(f"{hub} does not answer; waiting", found["done"], found["total"])
            time.sleep(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
            failures += 1
    if found["state"] == "failed":
        raise OrderFailedError(str(found["error"]))
    return found


def bring(hub: str, job: Mapping[str, Any], target: Path, tell: Tell, signed: As | None = None) -> Said:
    """Download what an export made, and unpack it as `target`, whole or not at all; return what it is, in words.

    A download that was cut goes on. Raises ArchiveError, PlatformError or a TargetError.
    """
    result = job["result"]
    archive = target.with_name(f".{target.name}.{job['id'][:12]}.part")
    download(hub, job["id"], archive, result["bytes"], result["sha256"], tell, signed)
    try:
        unpack(archive, result["name"], target)
    finally:
        archive.unlink(missing_ok=True)
    return Said(result["written"], result["fits"], result["judged"])


def download(hub: str, job: str, archive: Path, size: int, sha256: str, tell: Tell, signed: As | None = None) -> None:
    """Bring an archive, from where an earlier try ended; raise ArchiveError if it is another one."""
    tries = len(_PAUSES_S)
    while (here := archive.stat().st_size if archive.exists() else 0) < size:
        try:
            with client_of(hub, signed) as client:
                _append(client, job, archive, here, size, tell)
        except DoorError as error:
            if not isinstance(error.__cause__, httpx.TransportError) or tries == 0:
                raise
            tries -= 1
            time.sleep(_PAUSES_S[-1 - tries])
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        archive.unlink()
        raise ArchiveError(f"What {hub} sent is not the archive that it made: its SHA-256 is {found}. Try again.")


def _append(client: httpx.Client, job: str, archive: Path, here: int, size: int, tell: Tell) -> None:
    asked = {"Range": f"bytes={here}-"} if here else {}
    with client.stream("GET", f"/api/exports/{job}/archive", headers=asked) as answer:
        if answer.is_error:
            answer.read()
            raise OrderFailedError(message_of(answer))
        with archive.open("ab" if answer.status_code == httpx.codes.PARTIAL_CONTENT else "wb") as file:
            for block in answer.iter_bytes():
                file.write(block)
                tell("downloading", file.tell(), size)
                if file.tell() > size:
                    raise ArchiveError(f"The hub sent more than the {size:,} bytes that its archive has. Try again.")


def unpack(archive: Path, name: str, target: Path) -> None:
    """Write the file or the folder `name` of an archive as `target`, whole or not at all.

    Only files and folders below it are taken: anything else (another name, a way up, a link, a device) is refused, and
    then nothing is written. Raises ArchiveError or TargetError.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            first = tar.next()
            if first is None:
                raise ArchiveError("The archive is empty. Try again.")
            if first.isdir():
                with whole_folder(target) as folder:
                    _take(tar, _below(first, name), folder)
            else:
                with whole_file(target) as file:
                    _below(first, name)
                    _write(tar, first, file)
                    if tar.next() is not None:
                        raise ArchiveError(f"The archive has more than {name}. Nothing was written.")
    except tarfile.TarError as error:
        raise ArchiveError(f"The archive cannot be read: {error}. Try again.") from error


def _take(tar: tarfile.TarFile, top: PurePosixPath, folder: Path) -> None:
    for member, path in _members(tar, top):
        if member.isdir():
            (folder / path).mkdir()
        else:
            _write(tar, member, folder / path)


def _members(tar: tarfile.TarFile, top: PurePosixPath) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    for _ in range(_ENTRIES_MAX):
        member = tar.next()
        if member is None:
            return
        yield member, _below(member, top.name).relative_to(top)
    raise ArchiveError(f"The archive has more than {_ENTRIES_MAX:,} entries. Nothing was written.")


def _below(member: tarfile.TarInfo, name: str) -> PurePosixPath:
    """Return the path of a plain file or folder in `name`; raise ArchiveError for anything else."""
    path = PurePosixPath(member.name)
    plain = (member.isreg() and not member.issparse()) or member.isdir()
    ordinary = not path.is_absolute() and ".." not in path.parts and "\\" not in member.name and "\0" not in member.name
    if not plain or not ordinary or not path.parts or path.parts[0] != name:
        raise ArchiveError(f"The archive has {member.name[:200]!r}, which is no file in {name}. Nothing was written.")
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = tar.extractfile(member)
    if source is None:
        raise ArchiveError(f"The archive has no content of {member.name[:200]!r}. Nothing was written.")
    try:
        with source, path.open("xb") as file:
            while block := source.read(_BLOCK):
                file.write(block)
    except FileExistsError as error:
        raise ArchiveError(f"The archive has {member.name[:200]!r} twice. Nothing was written.") from error
