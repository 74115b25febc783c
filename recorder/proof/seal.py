"""Sealing: from a finished file to a bundle with the robot's signature; and the hub's receipt for an episode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import msgspec
from eth_account.signers.local import LocalAccount

from recorder.file.episode import read_episode
from recorder.proof import manifest as manifests
from recorder.proof.bundle import (
    MANIFEST_FILE,
    SIGNATURES_FILE,
    SIGNATURES_JSON,
    Receipt,
    Signatures,
    TrustClass,
    unsigned,
)
from recorder.proof.description import hash_file
from recorder.proof.manifest import EPISODE, EPISODE_FILE, OLD_RECEIPT, RECEIPT
from teleop.files import move, sync_folder, write_atomic
from teleop.identity import Domain


@dataclass(frozen=True, slots=True)
class SealedEpisode:
    """A bundle on the host's disk, final and waiting to be uploaded."""

    episode: str
    folder: Path
    digest: str
    valid: bool


def seal(file: Path, folder: Path, *, key: LocalAccount, domain: Domain, previous: str) -> SealedEpisode:
    """Move a finished `file` into the new bundle `folder` with its manifest and the robot's signature.

    What is hashed and signed is read back from disk. The file is moved in last: a folder that has it is whole.
    """
    episode = read_episode(file)
    manifest = manifests.of_episode(
        episode,
        size=file.stat().st_size,
        sha256=hash_file(file),
        root=manifests.root_hex(episode),
        previous=previous,
        software=_software(),
    )
    data = manifest.encode()
    signatures = sign_as_robot(data, key, domain)
    folder.mkdir()
    write_atomic(folder / MANIFEST_FILE, data)
    write_atomic(folder / SIGNATURES_FILE, signatures.encode())
    move(file, folder / EPISODE_FILE)
    sync_folder(folder.parent)
    return SealedEpisode(manifest.episode, folder, signatures.digest, manifest.valid)


@cache
def _software() -> str:
    """Return the version of armshare that records; looking it up takes longer than the content root."""
    return version("armshare")


def read_sealed(folder: Path) -> SealedEpisode:
    """Return the sealed episode in a whole bundle folder."""
    manifest = manifests.decode((folder / MANIFEST_FILE).read_bytes())
    signatures = SIGNATURES_JSON.decode((folder / SIGNATURES_FILE).read_bytes())
    return SealedEpisode(manifest.episode, folder, signatures.digest, manifest.valid)


def sign_as_robot(data: bytes, key: LocalAccount, domain: Domain) -> Signatures:
    """Return signatures.json over a manifest's bytes, still without the operator's signature."""
    manifest = manifests.decode(data)
    signature = EPISODE.sign(key, domain, manifests.statement(manifest, data))
    return unsigned(manifests.digest(manifest, data, domain), domain, signature)


def require_receipt_signed(receipt: Receipt, domain: Domain) -> None:
    """Raise SignatureError unless the hub that a receipt names signed it, as it does now or did in earlier releases."""
    origin, index = receipt.log_origin, receipt.log_index
    values = _receipt_values(receipt.digest, int(receipt.received_ms), origin, index)
    if receipt.trust is msgspec.UNSET:
        OLD_RECEIPT.require(receipt.hub, domain, values, receipt.signature)
        return
    RECEIPT.require(receipt.hub, domain, values | {"trust": receipt.trust.value}, receipt.signature)


def _receipt_values(digest: str, received_ms: int, log_origin: str, log_index: int) -> dict[str, object]:
    """Return the values of the EIP-712 `EpisodeReceipt`, but for the class of trust."""
    return {
        "episodeDigest": bytes.fromhex(digest[2:]),
        "receivedMs": received_ms,
        "logOrigin": log_origin,
        "logIndex": log_index,
    }


def sign_receipt(
    key: LocalAccount,
    domain: Domain,
    *,
    episode: str,
    digest: str,
    received_ms: int,
    log_origin: str,
    log_index: int,
    checkpoint: str,
    inclusion: list[str],
    trust: TrustClass,
) -> Receipt:
    """Return the hub's receipt for an episode that is in its log."""
    values = _receipt_values(digest, received_ms, log_origin, log_index) | {"trust": trust.value}
    return Receipt(
        checkpoint=checkpoint,
        digest=digest,
        episode=episode,
        hub=key.address,
        inclusion=inclusion,
        log_index=log_index,
        log_origin=log_origin,
        received_ms=str(received_ms),
        signature=RECEIPT.sign(key, domain, values),
        trust=trust,
    )
