"""RFC 6962 trees: the known vectors, and an independent implementation that follows the RFC's own recursion."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.proof.log import merkle

VECTOR_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
VECTOR_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Of Certificate Transparency's reference tree."""

entries = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


def naive_hash(data: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not data:
        return hashlib.sha256().digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = naive_split(len(data))
    return hashlib.sha256(b"\x01" + naive_hash(data[:k]) + naive_hash(data[k:])).digest()


def naive_split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def naive_path(m: int, data: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.1."""
    if len(data) == 1:
        return []
    k = naive_split(len(data))
    if m < k:
        return [*naive_path(m, data[:k]), naive_hash(data[k:])]
    return [*naive_path(m - k, data[k:]), naive_hash(data[:k])]


def naive_subproof(m: int, data: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of section 2.1.2."""
    if m == len(data):
        return [] if whole else [naive_hash(data)]
    k = naive_split(len(data))
    if m <= k:
        return [*naive_subproof(m, data[:k], whole), naive_hash(data[k:])]
    return [*naive_subproof(m - k, data[k:], False), naive_hash(data[:k])]


def nodes(data: list[bytes]) -> merkle.Node:
    return merkle.in_memory([merkle.leaf_hash(entry) for entry in data])


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_reference_tree(size: int) -> None:
    leaves = [merkle.leaf_hash(entry) for entry in VECTOR_LEAVES[:size]]

    assert merkle.root_of(leaves).hex() == VECTOR_ROOTS[size - 1]


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle.root_of([]) == hashlib.sha256().digest()


@settings(max_examples=200, deadline=None)
@given(data=entries)
def test_roots_are_those_of_the_rfcs_recursion(data: list[bytes]) -> None:
    assert merkle.root_of([merkle.leaf_hash(entry) for entry in data]) == naive_hash(data)


@settings(max_examples=200, deadline=None)
@given(data=entries, draw=st.data())
def test_inclusion_proofs_are_those_of_the_rfc_and_verify(data: list[bytes], draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, len(data) - 1))
    path = merkle.inclusion(nodes(data), index, len(data))

    assert path == naive_path(index, data)
    leaf = merkle.leaf_hash(data[index])
    merkle.require_inclusion(leaf, index, len(data), path, naive_hash(data))


@settings(max_examples=200, deadline=None)
@given(data=entries, draw=st.data())
def test_consistency_proofs_are_those_of_the_rfc_and_verify(data: list[bytes], draw: st.DataObject) -> None:
    old = draw.draw(st.integers(1, len(data)))
    path = merkle.consistency(nodes(data), old, len(data))

    assert path == naive_subproof(old, data, True)
    merkle.require_consistency(old, len(data), path, naive_hash(data[:old]), naive_hash(data))


@settings(max_examples=200, deadline=None)
@given(data=st.lists(st.binary(max_size=4), min_size=2, max_size=40, unique=True), draw=st.data())
def test_a_wrong_inclusion_proof_is_refused(data: list[bytes], draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, len(data) - 1))
    path = merkle.inclusion(nodes(data), index, len(data))
    leaf, root = merkle.leaf_hash(data[index]), naive_hash(data)
    other = draw.draw(st.integers(0, len(data) - 1).filter(lambda i: i != index))
    wrong = [
        (merkle.leaf_hash(data[other]), index, len(data), path),
        (leaf, other, len(data), path),
        (leaf, index, len(data), [*path, root]),
        (leaf, index, len(data), path[:-1]),
        (leaf, len(data), len(data), path),
        (leaf, -1, len(data), path),
    ]
    for one in wrong:
        with pytest.raises(merkle.ProofError):
            merkle.require_inclusion(*one, root)


@settings(max_examples=200, deadline=None)
@given(data=st.lists(st.binary(max_size=4), min_size=2, max_size=40, unique=True), draw=st.data())
def test_a_rewritten_history_has_no_consistency_proof(data: list[bytes], draw: st.DataObject) -> None:
    old = draw.draw(st.integers(1, len(data) - 1))
    at = draw.draw(st.integers(0, old - 1))
    rewritten = [*data[:at], b"never was", *data[at + 1 :]]
    path = merkle.consistency(nodes(rewritten), old, len(data))

    with pytest.raises(merkle.ProofError):
        merkle.require_consistency(old, len(data), path, naive_hash(data[:old]), naive_hash(rewritten))
    with pytest.raises(merkle.ProofError):
        merkle.require_consistency(old, len(data), path[:-1], naive_hash(data[:old]), naive_hash(data))


def test_an_index_outside_the_tree_is_refused() -> None:
    with pytest.raises(IndexError, match="below 8"):
        merkle.inclusion(nodes(VECTOR_LEAVES), 8, 8)
    with pytest.raises(IndexError, match="old <= new"):
        merkle.consistency(nodes(VECTOR_LEAVES), 9, 8)


def test_equal_sizes_need_equal_roots() -> None:
    with pytest.raises(merkle.ProofError):
        merkle.require_consistency(3, 3, [], bytes(32), bytes(31) + b"\x01")
    merkle.require_consistency(0, 3, [], merkle.EMPTY_ROOT, bytes(32))
