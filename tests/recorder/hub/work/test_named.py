"""What travels is values: they come back as they were, errors by the names of those that a call may raise, no code."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from recorder.file.apart import ReaderLostError
from recorder.file.episode import TooLargeError
from recorder.hub.intake import motion_in, verify_signed
from recorder.hub.previews import making
from recorder.hub.previews.making import NoCamera, Preview, make
from recorder.hub.store.bucket import FileInBucket
from recorder.hub.store.cache import Cache
from recorder.hub.store.folder import FolderStore
from recorder.hub.store.objects import Objects
from recorder.hub.store.store import StoredFile, StoreLostError
from recorder.hub.work.kinds import CALLS
from recorder.hub.work.named import Files, Made, Named, UnknownCallError, WorkFaultError, key_of, performed, raised
from recorder.proof.bundle import Bundle
from recorder.proof.case import Books, Trust
from recorder.proof.refusals import CopiedMotion, GateError
from recorder.proof.replayed import replayed
from recorder.proof.unable import UnableError
from teleop.hub.full import HubFullError
from tests.recorder.bundles import good_bundle
from tests.recorder.factory import DOMAIN
from tests.recorder.filming import head
from tests.recorder.hub.work.crews import DOUBLE

NAMED = {one.name: one for one in CALLS}


def stored(folder: Path, bundle: Path) -> tuple[Files, FileInBucket]:
    """Put a recording in a bucket in memory."""
    objects, data = Objects.in_memory(), (bundle / "episode.h5").read_bytes()
    objects.put("objects/x", data)
    files = Files(objects, Cache(folder / "cache"))
    return files, FileInBucket(objects, files.cache, "objects/x", len(data), hashlib.sha256(data).hexdigest())


def by_a_worker(name: str, files: Files, *arguments: object) -> object:
    """Do a call as a worker does, and read what it made as a hub does."""
    named = NAMED[name]
    asked = named.encoded(*arguments)
    assert asked is not None
    assert named.encoded(*arguments) == asked, "the same is the same job"
    return named.result(performed(NAMED, name, asked, files, lambda *_: None))


def test_what_a_worker_elsewhere_makes_is_what_one_here_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = good_bundle(tmp_path, simulated=False, cameras=(head(),))
    files, file = stored(tmp_path, bundle)
    documents = Bundle(
        (bundle / "manifest.json").read_bytes(), (bundle / "signatures.json").read_bytes(), None, None, None, None
    )
    trust = Trust(DOMAIN, books=Books(None, None, None), replay=replayed, plain=True)
    with pytest.raises(GateError) as here:
        verify_signed(documents, file, trust)
    with pytest.raises(type(here.value)) as there:
        by_a_worker("verify", files, documents, file, trust)
    assert str(there.value) == str(here.value)
    alone = Trust(DOMAIN, replay=replayed, plain=True)
    assert by_a_worker("verify", files, documents, file, alone) == verify_signed(documents, file, alone)
    assert by_a_worker("motion", files, file) == motion_in(file)
    other = FileInBucket(file.objects, file.cache, "objects/x", file.size, "0" * 64)
    with pytest.raises(StoreLostError, match="the store gives other bytes"):
        by_a_worker("verify", files, documents, other, alone)

    monkeypatch.setattr(making, "_be_quiet", lambda: None)  # this process has others to test
    preview = by_a_worker("preview", files, file, "front")
    assert isinstance(preview, Preview)
    assert preview == make(file, "front")
    assert by_a_worker("preview", files, file, "nowhere") == NoCamera(("front",))
    assert by_a_worker("preview", files, file, "front", True) == make(file, "front", True)


def test_what_is_of_this_machine_only_does_not_travel(tmp_path: Path) -> None:
    bundle = good_bundle(tmp_path / "episodes")
    file: StoredFile = FolderStore(tmp_path / "episodes").file(bundle.name, "episode.h5")
    documents, verify = Bundle(b"", b"", None, None, None, None), NAMED["verify"]
    assert verify.encoded(documents, file, Trust(DOMAIN)) is None, "no other machine has it"
    there = stored(tmp_path, bundle)[1]
    assert verify.encoded(documents, there, Trust(DOMAIN, replay=lambda _: None)) is None, "no name is known for it"
    assert verify.encoded(documents, there, Trust(DOMAIN, replay=replayed)) is not None


ERRORS: list[tuple[str, Exception]] = [
    *[("verify", kind("why")) for kind in GateError.__subclasses__()],
    ("verify", CopiedMotion("it is a copy").repeating("episode-1")),
    ("verify", UnableError("OutOfMemory", "MemoryError")),
    ("verify", StoreLostError("it does not answer")),
    ("verify", HubFullError("1 GB is needed")),
    ("verify", OSError(5, "Input/output error")),
    ("verify", MemoryError()),
    ("verify", ReaderLostError("killed by signal 9")),
    ("motion", TooLargeError("7 steps too many")),
]


@pytest.mark.parametrize(("name", "error"), ERRORS, ids=lambda one: one if isinstance(one, str) else type(one).__name__)
def test_an_error_comes_back_as_what_it_was(name: str, error: Exception) -> None:
    with pytest.raises(type(error)) as found:
        NAMED[name].result(raised(error))
    back = found.value
    assert type(back) is type(error)
    assert (str(back), back.args, vars(back)) == (str(error), error.args, vars(error))


def test_an_error_that_the_call_cannot_raise_is_a_fault_whatever_its_name() -> None:
    for error in (KeyboardInterrupt("no"), SystemExit(0), ImportError("os"), TooLargeError("not of these")):
        with pytest.raises(WorkFaultError, match=type(error).__name__):
            DOUBLE.result(raised(error))  # type: ignore[arg-type]  # a database could say so


@pytest.mark.parametrize(
    "asked", [b"", b"\xc1", b"cos\nsystem\n(S'true'\ntR.", msgspec.msgpack.encode({"number": "x"})]
)
def test_arguments_that_are_none_of_the_calls_are_refused_by_name(asked: bytes) -> None:
    with pytest.raises(UnknownCallError, match="takes other arguments of double"):
        performed({"double": DOUBLE}, "double", asked, None, lambda *_: None)  # type: ignore[arg-type]  # not looked at


def test_an_outcome_that_is_none_is_an_error_and_no_result() -> None:
    for outcome in (b"", b"\xc1", msgspec.msgpack.encode(["made"]), msgspec.msgpack.encode(Made(b"\xa1x"))):
        with pytest.raises(msgspec.MsgspecError):
            DOUBLE.result(outcome)


def test_a_call_that_says_what_cannot_be_written_is_made_here() -> None:
    named = Named("big", DOUBLE.kind, abs, lambda one: {"n": one}, dict, DOUBLE.do, int, ())
    assert named.encoded(2**70) is None
    assert key_of("a", b"b") != key_of("ab", b"")
