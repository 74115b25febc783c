"""The malformed corpus: each way in which a file can be wrong inside, and the error that names it.

A change is made to a good file that h5py has open. `FOREIGN` and `REPACKED` are what a hub does not take, whoever
signed it; a verifier that is not a hub reads the latter.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from functools import cache
from typing import Final

import h5py
import numpy as np
import rfc8785

from recorder.file import episode as reader
from recorder.file.layout import COMMANDS_MAX, STEPS_MAX, VALUES_BYTES_MAX

Change = Callable[[h5py.File], None]
Wrong = dict[str, tuple[Change, type[reader.EpisodeError]]]


def replace(path: str, data: np.ndarray, **how: object) -> Change:
    """Return what puts other data in a dataset's place."""

    def change(file: h5py.File) -> None:
        del file[path]
        file.create_dataset(path, data=data, **how)

    return change


def remove(path: str) -> Change:
    """Return what removes a dataset or a group."""
    return lambda file: file.__delitem__(path)


def with_meta(**changes: object) -> Change:
    """Return what says something else in `/meta`."""

    def change(file: h5py.File) -> None:
        meta = json.loads(bytes(file["meta"][:])) | changes
        replace("meta", np.frombuffer(rfc8785.dumps(meta), "|u1"))(file)

    return change


def with_notes(*notes: tuple[int, str]) -> Change:
    """Return what says in `/meta` that this was noted, at these times."""

    def change(file: h5py.File) -> None:
        end = json.loads(bytes(file["meta"][:]))["end"]
        with_meta(end=end | {"notes": [{"t_mono_ns": str(at), "text": text} for at, text in notes]})(file)

    return change


def with_spec(**changes: object) -> Change:
    """Return what says something else of the robot in `/meta`; None leaves it out."""

    def change(file: h5py.File) -> None:
        spec = json.loads(bytes(file["meta"][:]))["spec"] | changes
        with_meta(spec={name: value for name, value in spec.items() if value is not None or name == "base"})(file)

    return change


def never_written(path: str, rows: int) -> Change:
    """Return what gives a dataset so many rows, which take no room as nobody wrote them."""

    def change(file: h5py.File) -> None:
        kind = file[path].dtype
        del file[path]
        file.create_dataset(path, (rows,), kind)

    return change


def ends(of: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Return what cuts the commands at other places."""
    return lambda file: replace("commands/end", of(file["commands/end"][:]).astype("<u4"))(file)


def say_steps(count: int) -> Change:
    """Return what says another number of steps."""

    def change(file: h5py.File) -> None:
        end = json.loads(bytes(file["meta"][:]))["end"] | {"steps": count}
        with_meta(end=end)(file)

    return change


def external(file: h5py.File) -> None:
    """Keep a dataset's bytes in another file."""
    del file["safety"]
    file.create_dataset("safety", (40,), "|u1", external=[("/etc/hostname", 0, 40)])


def virtual(file: h5py.File) -> None:
    """Take a dataset's values from another file."""
    del file["safety"]
    layout = h5py.VirtualLayout((40,), "|u1")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (40,))
    file.create_virtual_dataset("safety", layout)


def virtual_without_end(source: str, path: str = "limits") -> Change:
    """Return what lets a dataset's very shape depend on another file, which HDF5 then opens to know it."""

    def change(file: h5py.File) -> None:
        kind = file[path].dtype
        del file[path]
        layout = h5py.VirtualLayout((1,), kind, maxshape=(None,))
        layout[: h5py.h5s.UNLIMITED] = h5py.VirtualSource(source, "x", (1,), kind, (None,))[: h5py.h5s.UNLIMITED]
        file.create_virtual_dataset(path, layout)

    return change


def unwritten(file: h5py.File) -> None:
    """Leave 1.3 MB of values to HDF5, which makes up what was never written."""
    meta = json.loads(bytes(file["meta"][:]))
    name = meta["spec"]["observation"][-1]["name"]
    meta["spec"]["observation"][-1]["shape"] = [4000]
    replace("meta", np.frombuffer(rfc8785.dumps(meta), "|u1"))(file)
    del file[f"observation/{name}"]
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    kind, space = h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((41, 4000))
    h5py.h5d.create(file["observation"].id, name.encode(), kind, space, dcpl=how)


def linked(link: object) -> Change:
    """Return what puts a link in a dataset's place."""

    def change(file: h5py.File) -> None:
        del file["safety"]
        file["safety"] = link

    return change


def huge_chunk(file: h5py.File) -> None:
    """Store a dataset in one chunk that is far larger than it."""
    del file["safety"]
    file.create_dataset("safety", (40,), "|u1", maxshape=(None,), chunks=(32 << 20,), compression="gzip")


def deflated(layers: int, expands_to: int, path: str = "safety") -> Change:
    """Return what stores a dataset in one chunk of so many deflate layers that becomes so many bytes."""

    def change(file: h5py.File) -> None:
        shape = file[path].shape
        del file[path]
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_chunk(shape)
        for _ in range(layers):
            how.set_deflate(9)
        space, kind = h5py.h5s.create_simple(shape), h5py.h5t.py_create(np.dtype("|u1"))
        made = h5py.h5d.create(file.id, path.encode(), kind, space, dcpl=how)
        made.write_direct_chunk((0,), packed(layers, expands_to))

    return change


@cache
def packed(layers: int, expands_to: int) -> bytes:
    """Return what `layers` inflations make into so many zeros."""
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    data = b"".join([*(packer.compress(block) for _ in range(expands_to >> 20)), packer.flush()])
    for _ in range(layers - 1):
        data = zlib.compress(data, 9)
    return data


def attributes(count: int, path: str = "/") -> Change:
    """Return what gives an object attributes that nobody signed."""

    def change(file: h5py.File) -> None:
        for number in range(count):
            file[path].attrs[f"a{number}"] = number

    return change


def comment(file: h5py.File) -> None:
    """Write a comment on a dataset."""
    h5py.h5o.set_comment(file["safety"].id, b"not signed")


def an_enumeration(file: h5py.File) -> None:
    """Give a dataset's numbers names."""
    del file["safety"]
    kind = h5py.enum_dtype({"IGNORE": 0, "THE_CUBE": 1}, basetype="u1")
    file.create_dataset("safety", (40,), kind)


_EACH: Final = ("end", "t_arrived_mono_ns", "step", "admitted")
_SHAPE: Final = reader.DatasetShapeError
_UNCUT: Final = reader.CommandsUncutError
WRONG: Final[Wrong] = {
    "no format": (lambda f: f.attrs.__delitem__("format"), reader.FormatVersionError),
    "a version to come": (lambda f: f.attrs.__setitem__("version", 3), reader.FormatVersionError),
    "a version before the first": (lambda f: f.attrs.__setitem__("version", 0), reader.FormatVersionError),
    "a version that its meta does not have": (lambda f: f.attrs.__setitem__("version", 1), reader.MetaInvalidError),
    "a format that is not text": (lambda f: f.attrs.__setitem__("format", 1.0), reader.FormatVersionError),
    "a missing dataset": (remove("safety"), reader.MissingDatasetError),
    "a missing group": (remove("commanded"), reader.MissingDatasetError),
    "no meta": (remove("meta"), reader.MissingDatasetError),
    "one dataset more": (lambda f: f.create_dataset("more", data=[1]), reader.UnknownDatasetError),
    "a group too deep": (lambda f: f.create_group("time/deep"), reader.UnknownDatasetError),
    "one row too few": (replace("safety", np.zeros(39, "|u1")), reader.DatasetShapeError),
    "one column too many": (replace("applied/joint_position", np.zeros((40, 4))), reader.DatasetShapeError),
    "another type": (replace("applied/gripper", np.zeros(40, "<f4")), reader.DatasetTypeError),
    "big-endian numbers": (replace("applied/gripper", np.zeros(40, ">f8")), reader.DatasetTypeError),
    "numbers with names": (an_enumeration, reader.DatasetTypeError),
    "a group for a dataset": (
        lambda f: (f.__delitem__("safety"), f.create_group("safety")),
        reader.MissingDatasetError,
    ),
    "meta that is not JSON": (replace("meta", np.frombuffer(b"{", "|u1")), reader.MetaInvalidError),
    "meta of another type": (replace("meta", np.zeros(4)), reader.DatasetTypeError),
    "meta that is too long": (replace("meta", np.zeros((1 << 20) + 1, "|u1")), reader.TooLargeError),
    "meta with a key too many": (with_meta(more=1), reader.MetaInvalidError),
    "meta without an end": (with_meta(end=None), reader.MetaInvalidError),
    "meta of version 1": (with_meta(version=1), reader.MetaInvalidError),
    "meta without the joints' resolution": (with_spec(joint_resolution_rad=None), reader.MetaInvalidError),
    "meta with a coarser resolution than there is": (
        with_spec(joint_resolution_rad=[0.0, 0.0, 0.11]),
        reader.MetaInvalidError,
    ),
    "meta with the resolution of two joints of three": (
        with_spec(joint_resolution_rad=[0.0, 0.0]),
        reader.MetaInvalidError,
    ),
    "meta without a driver's kind": (with_meta(driver={"name": "", "sha256": ""}), reader.MetaInvalidError),
    "meta with a person who is a program": (
        with_meta(driver={"kind": "person", "name": "a.py", "sha256": 64 * "5"}),
        reader.MetaInvalidError,
    ),
    "meta with a policy that nobody could name": (
        with_meta(driver={"kind": "policy", "name": "", "sha256": 64 * "5"}),
        reader.MetaInvalidError,
    ),
    "meta with a driver whose name a terminal would obey": (
        with_meta(driver={"kind": "policy", "name": "a\x1b[31m", "sha256": 64 * "5"}),
        reader.MetaInvalidError,
    ),
    "meta with a note that a terminal would obey": (with_notes((1, "a\x1b[31mb")), reader.MetaInvalidError),
    "meta with a note that turns what is written": (with_notes((1, "a\u202eb")), reader.MetaInvalidError),
    "meta with a note on two lines": (with_notes((1, "a\nb")), reader.MetaInvalidError),
    "meta with a note without words": (with_notes((1, "")), reader.MetaInvalidError),
    "meta with a note that is too long": (with_notes((1, 281 * "x")), reader.MetaInvalidError),
    "meta with more notes than there may be": (with_notes(*((at, "x") for at in range(101))), reader.MetaInvalidError),
    "meta with notes in another order": (with_notes((2, "x"), (1, "x")), reader.MetaInvalidError),
    "meta with a path for an id": (with_meta(episode="../../etc"), reader.MetaInvalidError),
    "more steps than a reader takes": (say_steps(STEPS_MAX + 1), reader.TooLargeError),
    "no steps": (say_steps(0), reader.TooLargeError),
    "other steps than the arrays": (say_steps(39), reader.DatasetShapeError),
    "a link to another file": (linked(h5py.ExternalLink("/etc/hostname", "/x")), reader.ForbiddenStorageError),
    "a soft link": (linked(h5py.SoftLink("/applied/gripper")), reader.ForbiddenStorageError),
    "bytes in another file": (external, reader.ForbiddenStorageError),
    "a virtual dataset": (virtual, reader.ForbiddenStorageError),
    "a virtual dataset without end": (virtual_without_end("/etc/hostname"), reader.ForbiddenStorageError),
    "a chunk that would fill the memory": (huge_chunk, reader.ForbiddenStorageError),
    "one compression in another": (deflated(2, 1 << 20), reader.ForbiddenStorageError),
    "no commands as they came": (remove("commands"), reader.MissingDatasetError),
    "no beginnings of steps": (remove("time/t_began_mono_ns"), reader.MissingDatasetError),
    "more commands than a reader takes": (never_written("commands/end", COMMANDS_MAX + 1), reader.TooLargeError),
    "more bytes of commands than a reader takes": (
        never_written("commands/bytes", VALUES_BYTES_MAX + 1),
        reader.TooLargeError,
    ),
    "fewer ends of commands than commands": (lambda f: replace("commands/end", f["commands/end"][1:])(f), _SHAPE),
    "fewer steps of commands than commands": (lambda f: replace("commands/step", f["commands/step"][1:])(f), _SHAPE),
    "ends of commands that do not rise": (ends(lambda end: np.sort(end)[::-1]), _UNCUT),
    "two ends of commands that are the same": (ends(lambda end: end[[0, 1, 1, *range(3, len(end))]]), _UNCUT),
    "commands that end beyond their bytes": (ends(lambda end: end + 1), _UNCUT),
    "bytes after the last command": (ends(lambda end: end - 1), _UNCUT),
    "a command of no length": (ends(lambda end: np.append(0, end[1:])), _UNCUT),
    "a command of two": (ends(lambda end: np.append(end[1], end[1:])), _UNCUT),
    "bytes of commands without one": (
        lambda f: [replace(f"commands/{name}", f[f"commands/{name}"][:0])(f) for name in _EACH],
        _UNCUT,
    ),
}
FOREIGN: Final[Wrong] = {
    "1,000 attributes of the file": (attributes(1000), reader.UnboundDataError),
    "one attribute of the file": (attributes(1), reader.UnboundDataError),
    "an attribute of a dataset": (attributes(1, "safety"), reader.UnboundDataError),
    "an attribute of a group": (attributes(1, "commanded"), reader.UnboundDataError),
    "a comment": (comment, reader.UnboundDataError),
}
REPACKED: Final[Wrong] = {
    "gzip": (replace("safety", np.zeros(40, "|u1"), compression="gzip"), reader.ForbiddenStorageError),
    "lzf": (replace("safety", np.zeros(40, "|u1"), compression="lzf"), reader.ForbiddenStorageError),
    "shuffle": (replace("safety", np.zeros(40, "|u1"), shuffle=True, chunks=(40,)), reader.ForbiddenStorageError),
    "values that are not in the file": (unwritten, reader.TooLargeError),
    "checksums": (replace("safety", np.zeros(40, "|u1"), fletcher32=True), reader.ForbiddenStorageError),
}
