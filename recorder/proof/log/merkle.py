"""RFC 6962 section 2.1: Merkle tree hashes, inclusion and consistency proofs, as pure functions.

A tree is read through `Node`: the hash of the whole, aligned subtree of 2^level leaves at `index`. It can be
a list of leaves (`in_memory`) or a table (`log.py`): a proof costs O(log^2 n) look-ups, and no full read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

Node = Callable[[int, int], bytes]
"""(level, index) -> 32 bytes."""

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


class ProofError(ValueError):
    """A proof does not lead to the root that it claims."""


def leaf_hash(entry: bytes) -> bytes:
    """Return H(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return H(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def in_memory(leaves: Sequence[bytes]) -> Node:
    """Return the nodes over a list of leaf hashes."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the tree hash over leaf hashes."""
    return tree_hash(in_memory(leaves), 0, len(leaves))


def tree_hash(node: Node, begin: int, end: int) -> bytes:
    """Return the hash of leaves `begin` to `end` (section 2.1); `begin` is aligned, as in the RFC's splits."""
    count = end - begin
    if count == 0:
        return EMPTY_ROOT
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, begin >> level)
    split = begin + _split(count)
    return node_hash(tree_hash(node, begin, split), tree_hash(node, split, end))


def inclusion(node: Node, index: int, size: int) -> list[bytes]:
    """Return PATH(index, D[size]) of section 2.1.1, from the leaf up; raise IndexError outside the tree."""
    if not 0 <= index < size:
        raise IndexError(f"expected an index below {size}, got {index}")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        split = begin + _split(end - begin)
        if index < split:
            path.append(tree_hash(node, split, end))
            end = split
        else:
            path.append(tree_hash(node, begin, split))
            begin = split
    return path[::-1]


def consistency(node: Node, old: int, new: int) -> list[bytes]:
    """Return PROOF(old, D[new]) of section 2.1.2; raise IndexError unless 0 <= old <= new."""
    if not 0 <= old <= new:
        raise IndexError(f"expected 0 <= old <= new, got {old} and {new}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    begin, end, known = 0, new, True
    while old != end:
        split = begin + _split(end - begin)
        if old <= split:
            path.append(tree_hash(node, split, end))
            end = split
        else:
            path.append(tree_hash(node, begin, split))
            begin, known = split, False
    return ([] if known else [tree_hash(node, begin, end)]) + path[::-1]


def require_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless `path` leads from `leaf` at `index` to `root` (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofError(f"expected an index below the tree's size {size}, got {index}")
    at, last, found = index, size - 1, leaf
    for other in path:
        if last == 0:
            raise ProofError(f"expected fewer than {len(path)} hashes for index {index} of {size}")
        if at & 1 or at == last:
            found = node_hash(other, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, other)
        at, last = at >> 1, last >> 1
    if last or found != root:
        raise ProofError(f"expected the root {root.hex()}, got {found.hex()} from {len(path)} hashes")


def require_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Raise ProofError unless the new tree begins with the old one (RFC 9162, section 2.1.4.2)."""
    if not 0 <= old <= new:
        raise ProofError(f"expected 0 <= old <= new, got {old} and {new}")
    if old in (0, new):
        if path or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise ProofError(f"expected no hashes and equal roots between sizes {old} and {new}")
        return
    rest = list(path) if old & (old - 1) else [old_root, *path]
    if not rest:
        raise ProofError(f"expected hashes between sizes {old} and {new}, got none")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    found_old = found_new = rest[0]
    for other in rest[1:]:
        if last == 0:
            raise ProofError(f"expected fewer than {len(path)} hashes between sizes {old} and {new}")
        if at & 1 or at == last:
            found_old, found_new = node_hash(other, found_old), node_hash(other, found_new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found_new = node_hash(found_new, other)
        at, last = at >> 1, last >> 1
    if last or found_old != old_root or found_new != new_root:
        raise ProofError(f"expected roots {old_root.hex()} and {new_root.hex()}, got others from {len(path)} hashes")


def _split(count: int) -> int:
    """Return the largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)
