"""What the recorder has done by workers: an episode verified, its motion read, and a preview drawn."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from recorder.file.apart import ReaderLostError
from recorder.file.episode import EpisodeError
from recorder.hub.intake import motion_in, verify_signed
from recorder.hub.previews.making import NoCamera, NotShown, Preview, make
from recorder.hub.store.store import StoredFile
from recorder.hub.work.named import Files, Kind, Named, NamedFile, Told, file_named
from recorder.pictures.errors import PictureError
from recorder.proof.bundle import Bundle
from recorder.proof.case import Books, Trust
from recorder.proof.checks.copies import Motion
from recorder.proof.refusals import GateError
from recorder.proof.replayed import replayed
from recorder.proof.unable import UnableError
from recorder.proof.verify import Report
from teleop.hub.full import HubFullError
from teleop.identity import Domain

OF_THE_WORKER: Final = (ReaderLostError, MemoryError, OSError, HubFullError)
"""What keeps a worker from reading a file, and says nothing of it. A store that is lost is an OSError."""


class VerifyAsked(msgspec.Struct, frozen=True):
    """What an episode is verified by: its documents, its recording, and what the hub knows."""

    manifest: bytes
    signatures: bytes
    file: NamedFile
    domain: Domain
    books: Books | None
    plain: bool
    replays: bool
    """Whether a simulated one is simulated once more."""


class FileAsked(msgspec.Struct, frozen=True):
    """A recording that is read."""

    file: NamedFile


class PreviewAsked(msgspec.Struct, frozen=True):
    """A recording that is shown, by which camera, and whether with as many pictures as a page shows in step."""

    file: NamedFile
    camera: str | None
    full: bool = False


class PreviewMade(msgspec.Struct, frozen=True):
    """One of these."""

    preview: Preview | None = None
    no_camera: NoCamera | None = None
    not_shown: NotShown | None = None


def _say_verify(documents: Bundle, file: StoredFile, trust: Trust) -> VerifyAsked | None:
    """Return what travels; None if the recording or what replays it is of this machine only."""
    named = file_named(file)
    if named is None or trust.replay not in (None, replayed) or trust.hub is not None or trust.log_key is not None:
        return None
    said = documents.manifest or b"", documents.signatures or b""
    return VerifyAsked(*said, named, trust.domain, trust.books, trust.plain, trust.replay is not None)


def _verify(asked: VerifyAsked, files: Files, _told: Told) -> Report:
    trust = Trust(asked.domain, asked.books, replayed if asked.replays else None, plain=asked.plain)
    return verify_signed(
        Bundle(asked.manifest, asked.signatures, None, None, None, None), files.file(asked.file), trust
    )


def say_file(file: StoredFile) -> FileAsked | None:
    """Return what travels of a call that reads a recording."""
    named = file_named(file)
    return None if named is None else FileAsked(named)


def _say_preview(file: Any, camera: str | None, full: bool = False) -> PreviewAsked | None:
    named = file_named(file)
    return None if named is None else PreviewAsked(named, camera, full)


def _preview(asked: PreviewAsked, files: Files, _told: Told) -> PreviewMade:
    made = make(files.file(asked.file), asked.camera, asked.full)
    if isinstance(made, Preview):
        return PreviewMade(preview=made)
    return PreviewMade(no_camera=made) if isinstance(made, NoCamera) else PreviewMade(not_shown=made)


def _read_preview(made: PreviewMade) -> Any:
    return made.preview or made.no_camera or made.not_shown


CALLS: Final = (
    Named(
        name="verify",
        kind=Kind.VERIFY,
        call=verify_signed,
        say=_say_verify,
        asked=VerifyAsked,
        do=_verify,
        gives=Report,
        raises=(GateError, UnableError, EpisodeError, *OF_THE_WORKER),
    ),
    Named(
        name="motion",
        kind=Kind.VERIFY,
        call=motion_in,
        say=say_file,
        asked=FileAsked,
        do=lambda asked, files, _told: motion_in(files.file(asked.file)),
        gives=Motion,
        raises=(EpisodeError, *OF_THE_WORKER),
    ),
    Named(
        name="preview",
        kind=Kind.RENDER,
        call=make,
        say=_say_preview,
        asked=PreviewAsked,
        do=_preview,
        gives=PreviewMade,
        heard=_read_preview,
        raises=(EpisodeError, PictureError, *OF_THE_WORKER),
    ),
)
