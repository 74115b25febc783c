"""The content root: a hash over decoded values that survives recompression (FORMAT.md, section 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.proof.log.merkle import root_of

BLOCK_ROWS: Final = 256
BYTES_ROWS: Final = 65_536
"""Of a dataset called `bytes`."""


def content_root(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the 32-byte root over path -> array; the arrays are as `layout.columns` says."""
    paths = sorted(arrays, key=str.encode)
    return root_of([leaf for path in paths for leaf in _leaves(path, arrays[path])])


def type_name(dtype: np.dtype) -> str:
    """Return a type's name in a leaf: `f8`, or `{step:u4,...}` for a compound."""
    if dtype.fields is None:
        return f"{dtype.kind}{dtype.itemsize}"
    return "{" + ",".join(f"{name}:{type_name(field[0])}" for name, field in dtype.fields.items()) + "}"


def _leaves(path: str, array: NDArray[Any]) -> Iterator[bytes]:
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    shape = ",".join(str(size) for size in array.shape)
    head = b"\x00" + _prefixed(path) + _prefixed(type_name(array.dtype)) + _prefixed(shape)
    together = BYTES_ROWS if path.rpartition("/")[2] == "bytes" else BLOCK_ROWS
    values = little.reshape(-1).view(np.uint8).data
    size = together * (little.nbytes // max(1, len(little)))
    for block in range(max(1, -(-len(little) // together))):
        leaf = hashlib.sha256(head + _prefixed(str(block)))
        leaf.update(values[block * size : (block + 1) * size])
        yield leaf.digest()


def _prefixed(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, "little") + data
