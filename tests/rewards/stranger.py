"""A stranger's check of a published payout: written from the format's description, sharing no code with the project."""

from __future__ import annotations

import json

from Crypto.Hash import keccak as sponge


def root_of(document: bytes) -> str:
    """Rebuild the root of a published payout, as 0x-hex."""
    payout = json.loads(document)
    leaves = sorted(
        leaf_of(payout["chain_id"], payout["vault"], account, int(amount))
        for account, amount in payout["cumulative"].items()
    )
    return "0x" + _node(leaves, 0).hex()


def leaf_of(chain_id: int, vault: str, account: str, amount: int) -> bytes:
    """Hash four ABI words twice."""
    words = f"{chain_id:064x}{vault[2:].lower():0>64}{account[2:].lower():0>64}{amount:064x}"
    return _hash(_hash(bytes.fromhex(words)))


def climbs(root: bytes, leaf: bytes, proof: tuple[bytes, ...]) -> bool:
    """Tell whether a proof leads from a leaf to the root."""
    if not proof:
        return leaf == root
    return climbs(root, _hash(min(leaf, proof[0]) + max(leaf, proof[0])), proof[1:])


def _node(leaves: list[bytes], place: int) -> bytes:
    if place >= len(leaves) - 1:
        return leaves[2 * len(leaves) - 2 - place]
    return _hash(b"".join(sorted((_node(leaves, 2 * place + 1), _node(leaves, 2 * place + 2)))))


def _hash(data: bytes) -> bytes:
    return sponge.new(digest_bits=256, data=data).digest()
