"""An export that any worker may write: what travels, and the archive's way back through the bucket.

A release is signed by a key that does not leave the hub, so it is written here, as is what is on this machine only.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import msgspec

from recorder.hub.store import StoreLostError
from recorder.hub.store.bundles import StoredBundle
from recorder.hub.store.objects import Objects
from recorder.hub.work.kinds import OF_THE_WORKER
from recorder.hub.work.named import Files, GivenUpError, Kind, Named, NamedFile, Told, file_named
from recorder.hub.work.table import Table, WorkersAwayError
from rewards.datasets.version import DatasetVersion
from rewards.hub.apart import Apart, Work, WorkBrokenError, WorkError, WorkLostError
from rewards.hub.exports.archives import Export
from rewards.hub.exports.releasing import Request
from teleop.files import sync_file, sync_folder

FOLDER: Final = "exports"
"""Beside a worker's downloads: where it writes."""
_PREFIX: Final = "exports/"


class NamedBundle(msgspec.Struct, frozen=True):
    """An episode's files, by their names."""

    episode: str
    files: tuple[tuple[str, NamedFile], ...]


class ExportAsked(msgspec.Struct, frozen=True):
    """What is to be written."""

    job: str
    version: DatasetVersion
    bundles: tuple[NamedBundle, ...]
    request: Request
    config: dict[str, Any]
    bytes_max: int


class ExportMade(msgspec.Struct, frozen=True):
    """What was written, and where in the bucket it is."""

    result: dict[str, Any]
    key: str


def _say(work: Work) -> ExportAsked | None:
    """Return what travels; None if a file is on this machine only."""
    if not isinstance(work, Export):
        return None
    bundles = [_bundle(one) for one in work.bundles]
    if any(one is None for one in bundles):
        return None
    there = tuple(one for one in bundles if one is not None)
    return ExportAsked(work.target.stem, work.version, there, work.request, dict(work.config), work.bytes_max)


def _bundle(bundle: StoredBundle) -> NamedBundle | None:
    files = [(name, file_named(file)) for name, file in bundle.files]
    found = tuple((name, file) for name, file in files if file is not None)
    return NamedBundle(bundle.episode, found) if len(found) == len(files) else None


def _write(asked: ExportAsked, files: Files, told: Told) -> ExportMade:
    """Write the archive in a worker, and send it to the bucket."""
    bundles = tuple(
        StoredBundle(one.episode, tuple((name, files.file(file)) for name, file in one.files)) for one in asked.bundles
    )
    below = files.cache.folder.with_name(FOLDER)
    below.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=below) as folder:
        target = Path(folder) / "export.tar"
        made = Export(asked.version, bundles, target, asked.request, asked.config, asked.bytes_max)(told)
        key = f"{_PREFIX}{asked.job}/{secrets.token_hex(8)}.tar"
        told("packing", len(bundles), len(bundles))
        files.objects.put(key, target)
    return ExportMade(dict(made), key)


def _call(work: Work) -> None:
    """Name what is looked up; it is never called."""
    raise TypeError(f"expected a worker to write {work}")


EXPORT: Final = Named(
    name="export",
    kind=Kind.EXPORT,
    call=_call,
    say=_say,
    asked=ExportAsked,
    do=_write,
    gives=ExportMade,
    raises=(WorkError, *OF_THE_WORKER),
)


class Sent:
    """Has one export written by whichever worker takes it, and fetches its archive."""

    def __init__(self, table: Table, objects: Objects) -> None:
        self._table, self._objects = table, objects
        self._here = Apart()
        self._said: SimpleQueue[tuple[str, int, int] | None] = SimpleQueue()

    def run(self, work: Work, told: Told) -> Mapping[str, Any]:
        """Have it done, and return what it gave. Blocks. Raises WorkError, WorkLostError or WorkBrokenError."""
        asked = EXPORT.encoded(work)
        if asked is None or not isinstance(work, Export):
            return self._here.run(work, told)
        future = self._table.post(EXPORT, asked, lambda *said: self._said.put(said))
        future.add_done_callback(lambda _: self._said.put(None))
        while (said := self._said.get()) is not None:
            told(*said)
        if not future.done():
            raise WorkLostError("the hub ends; whoever writes it goes on")
        try:
            made: ExportMade = future.result()
            self._fetch(made, work.target)
        except (GivenUpError, WorkersAwayError) as error:
            raise WorkError(str(error)) from error
        except WorkError:
            raise
        except (BrokenExecutor, StoreLostError, MemoryError) as error:
            raise WorkLostError(str(error)) from error
        except Exception as error:
            raise WorkBrokenError(str(error)) from error
        return made.result

    def stop(self) -> None:
        """Let go of it: it goes on, and the next hub that asks for it finds it."""
        self._here.stop()
        self._said.put(None)

    def _fetch(self, made: ExportMade, target: Path) -> None:
        """Have the archive where it is given out; raise StoreLostError if other bytes come."""
        found, part = hashlib.sha256(), target.with_suffix(".part")
        with part.open("wb") as file:
            for block in self._objects.blocks(made.key):
                found.update(block)
                file.write(block)
        if found.hexdigest() != made.result["sha256"]:
            part.unlink()
            raise StoreLostError(f"the store gives other bytes than the archive {made.key} had")
        sync_file(part)
        part.replace(target)
        sync_folder(target.parent)
        self._objects.delete(list(self._objects.keys(f"{_PREFIX}{target.stem}/")))
