"""The payout tree: who has earned how much, as one Merkle root and one JSON that rebuilds it. Pure.

A tree holds what each account has earned since the beginning (cumulative, in
wei), so the vault pays differences and no proof is ever paid twice. The layout is OpenZeppelin's standard
tree: leaves `keccak256(keccak256(abi.encode(chain_id, vault, account, cumulative)))` sorted by hash, laid out
backwards at the end of a binary heap, and parents that hash their two children in ascending order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import rfc8785
from eth_utils.address import is_checksum_address
from eth_utils.crypto import keccak

FORMAT: Final = "armshare-payout/1"
MAX_TOTAL_WEI: Final = 2**128 - 1
_MAX_CHAIN_ID: Final = 2**53 - 1
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]*")


class PayoutError(ValueError):
    """A payout cannot be built from these values."""


class PayoutDocumentError(ValueError):
    """A published payout is malformed, or contradicts itself."""


class IllegalMoveError(Exception):
    """A payout root was asked to move to a state that it cannot reach."""

    def __init__(self, state: RootState, wanted: RootState) -> None:
        allowed = ", ".join(_MOVES[state]) or "nothing: it is settled"
        super().__init__(f"a root that is {state} cannot become {wanted}; expected {allowed}")
        self.state = state
        self.wanted = wanted


class RootState(StrEnum):
    """The state of a payout root: `proposed -> (disputed -> void | upheld) -> final`."""

    PROPOSED = "proposed"
    DISPUTED = "disputed"
    VOID = "void"
    UPHELD = "upheld"
    FINAL = "final"

    def move(self, wanted: RootState) -> RootState:
        """Return `wanted`; raise IllegalMoveError if the vault would refuse it."""
        if wanted not in _MOVES[self]:
            raise IllegalMoveError(self, wanted)
        return wanted


_MOVES: Final[Mapping[RootState, tuple[RootState, ...]]] = {
    RootState.PROPOSED: (RootState.DISPUTED, RootState.FINAL),
    RootState.DISPUTED: (RootState.VOID, RootState.UPHELD),
    RootState.UPHELD: (RootState.FINAL,),
    RootState.VOID: (),
    RootState.FINAL: (),
}


@dataclass(frozen=True, slots=True)
class PayoutTree:
    """One payout: everybody's cumulative pay on one chain and vault, and the Merkle tree over it."""

    chain_id: int
    vault: str
    cumulative: Mapping[str, int]
    """Checksummed account -> wei earned since the beginning, in ascending order of account."""
    nodes: Sequence[bytes] = field(repr=False)
    """The heap of 2N - 1 hashes of 32 bytes; the root is first."""
    positions: Mapping[str, int] = field(repr=False)
    """Account -> place of its leaf in `nodes`."""

    @property
    def root(self) -> bytes:
        """The 32-byte Merkle root."""
        return self.nodes[0]

    @property
    def total(self) -> int:
        """The sum of all cumulative pay, in wei."""
        return sum(self.cumulative.values())

    def proof(self, account: str) -> tuple[bytes, ...]:
        """Return the siblings from `account`'s leaf up to the root; raise PayoutError if it has no leaf."""
        if account not in self.positions:
            raise PayoutError(f"{account} is not in the payout 0x{self.root.hex()}")
        place, siblings = self.positions[account], []
        while place > 0:
            siblings.append(self.nodes[place + 1 if place % 2 else place - 1])
            place = (place - 1) // 2
        return tuple(siblings)


def build_tree(chain_id: int, vault: str, cumulative: Mapping[str, int]) -> PayoutTree:
    """Build the payout of `cumulative` (checksummed account -> wei); raise PayoutError for invalid values."""
    _require_payable(chain_id, vault, cumulative)
    ordered = dict(sorted(cumulative.items()))
    leaves = sorted((leaf(chain_id, vault, *item), item[0]) for item in ordered.items())
    nodes = [b""] * (2 * len(leaves) - 1)
    positions = {}
    for back, (digest, account) in enumerate(leaves, start=1):
        nodes[-back] = digest
        positions[account] = len(nodes) - back
    for place in range(len(leaves) - 2, -1, -1):
        nodes[place] = _parent(nodes[2 * place + 1], nodes[2 * place + 2])
    return PayoutTree(chain_id, vault, ordered, tuple(nodes), positions)


def leaf(chain_id: int, vault: str, account: str, cumulative: int) -> bytes:
    """Return an account's 32-byte leaf, the same as the vault's `leaf(account, cumulative)`."""
    words = (chain_id, int(vault, 16), int(account, 16), cumulative)
    return keccak(keccak(b"".join(word.to_bytes(32, "big") for word in words)))


def require_growth(before: Mapping[str, int], after: Mapping[str, int]) -> None:
    """Raise PayoutError if anyone's cumulative pay falls or is left out: what was earned stays earned."""
    for account, amount in before.items():
        if after.get(account, 0) < amount:
            raise PayoutError(f"{account}: cumulative pay cannot fall from {amount} to {after.get(account, 0)} wei")


def publish(tree: PayoutTree) -> bytes:
    """Return the public JSON (RFC 8785) that alone rebuilds the root; amounts are decimal strings in wei."""
    return rfc8785.dumps(
        {
            "format": FORMAT,
            "chain_id": tree.chain_id,
            "vault": tree.vault,
            "root": "0x" + tree.root.hex(),
            "total": str(tree.total),
            "cumulative": {account: str(amount) for account, amount in tree.cumulative.items()},
        }
    )


def read_payout(document: bytes | str) -> PayoutTree:
    """Rebuild a published payout; raise PayoutDocumentError if it is malformed, or if its root or total is wrong."""
    fields = _load(document)
    try:
        amounts = {account: _wei(text) for account, text in fields["cumulative"].items()}
        tree = build_tree(fields["chain_id"], fields["vault"], amounts)
    except PayoutError as error:
        raise PayoutDocumentError(f"the published payout cannot be rebuilt: {error}") from error
    found = {"root": "0x" + tree.root.hex(), "total": str(tree.total)}
    for name, value in found.items():
        if fields[name] != value:
            raise PayoutDocumentError(f"the payout says that its {name} is {fields[name]!r}, but it is {value!r}")
    return tree


def rebuild_root(document: bytes | str) -> bytes:
    """Return the 32-byte root that a published payout actually has; raise PayoutDocumentError as `read_payout` does."""
    return read_payout(document).root


def _parent(left: bytes, right: bytes) -> bytes:
    return keccak(left + right if left <= right else right + left)


def _require_payable(chain_id: int, vault: str, cumulative: Mapping[str, int]) -> None:
    if type(chain_id) is not int or not 0 < chain_id <= _MAX_CHAIN_ID:
        raise PayoutError(f"expected a chain id from 1 to 2^53 - 1, got {chain_id!r}")
    if not cumulative:
        raise PayoutError("a payout needs at least one account")
    for address in (vault, *cumulative):
        if not isinstance(address, str) or not is_checksum_address(address):
            raise PayoutError(f"expected a checksummed 0x address (EIP-55), got {address!r}")
    for account, amount in cumulative.items():
        if type(amount) is not int or amount < 0:
            raise PayoutError(f"{account}: expected a whole number of wei, 0 or more, got {amount!r}")
    total = sum(cumulative.values())
    if total > MAX_TOTAL_WEI:
        raise PayoutError(f"expected at most 2^128 - 1 wei in all, got {total}")


def _load(document: bytes | str) -> dict[str, Any]:
    try:
        fields = json.loads(document, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise PayoutDocumentError(f"expected a payout as JSON: {error}") from error
    names = {"format", "chain_id", "vault", "root", "total", "cumulative"}
    if not isinstance(fields, dict) or set(fields) != names or not isinstance(fields["cumulative"], dict):
        raise PayoutDocumentError(f"expected a payout, an object of {sorted(names)}")
    if fields["format"] != FORMAT:
        raise PayoutDocumentError(f"expected the format {FORMAT}, got {fields['format']!r}")
    return fields


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a name occurs twice in one object")
    return dict(pairs)


def _wei(text: object) -> int:
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text) or len(text) > 39:
        raise PayoutError(f"expected an amount as a decimal string of at most 39 digits, got {text!r}")
    return int(text)
