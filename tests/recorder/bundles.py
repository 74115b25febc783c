"""Whole bundles for tests: recorded, sealed, signed and receipted with the factory's keys."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_account.signers.local import LocalAccount

from recorder.file.episode import Episode
from recorder.file.journal import finish
from recorder.file.writer import EpisodeWriter
from recorder.proof import manifest as manifests
from recorder.proof.bundle import RECEIPT_FILE, SIGNATURES_FILE, Bundle, Signatures, TrustClass, opened, read_bundle
from recorder.proof.case import Trust
from recorder.proof.description import hash_description
from recorder.proof.log import merkle
from recorder.proof.log.checkpoint import Checkpoint, LogKey
from recorder.proof.manifest import EPISODE, NO_PREVIOUS, Manifest
from recorder.proof.seal import seal, sign_as_robot, sign_receipt
from teleop.identity import Domain
from teleop.steps import EpisodeEnd, EpisodeStart, Step
from tests.recorder.factory import DOMAIN, HUB, ROBOT, SESSION, fake_episode
from tests.recorder.filming import film

LOG_KEY = LogKey("armshare.test/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
RECEIVED_MS = 1_750_000_100_000
TRUST = Trust(DOMAIN, hub=HUB.address, log_key=LOG_KEY.verifier)


def sign_as_operator(data: bytes, key: LocalAccount, domain: Domain) -> str:
    """Return the operator's signature, by the session key, over a manifest's bytes."""
    return EPISODE.sign(key, domain, manifests.statement(manifests.decode(data), data))


def record(folder: Path, episode: tuple[EpisodeStart, list[Step], EpisodeEnd] | None = None) -> Path:
    """Record a fake episode (or the one given) and return its finished file."""
    start, steps, end = episode or fake_episode()
    journal = folder / f"{start.episode}.journal"
    writer = EpisodeWriter.start(journal, start, hash_description(start.spec.model))
    for step in steps:
        writer.append(step)
    writer.end(end)
    for head in start.cameras:
        film(journal, head, steps[-1].t_observed_ns)
    clean = folder / f"{start.episode}.h5"
    finish(journal, clean)
    return clean


def sealed_bundle(
    folder: Path,
    *,
    previous: str = NO_PREVIOUS,
    robot: LocalAccount = ROBOT,
    made: tuple[EpisodeStart, list[Step], EpisodeEnd] | None = None,
    **kwargs: Any,
) -> Path:
    """Return a bundle as a host seals it, signed by the robot only: of a fake episode, or of the one `made`."""
    folder.mkdir(parents=True, exist_ok=True)
    episode = made or fake_episode(robot=robot, **kwargs)
    bundle = folder / episode[0].episode
    seal(record(folder, episode), bundle, key=robot, domain=DOMAIN, previous=previous)
    return bundle


def good_bundle(folder: Path, **kwargs: Any) -> Path:
    """Return a bundle that passes every gate of `TRUST`."""
    bundle = sealed_bundle(folder, **kwargs)
    data = (bundle / "manifest.json").read_bytes()
    (bundle / SIGNATURES_FILE).write_bytes(signed(data).encode())
    (bundle / RECEIPT_FILE).write_bytes(receipt(data))
    return bundle


def signed(data: bytes, *, robot: LocalAccount = ROBOT, session: LocalAccount = SESSION) -> Signatures:
    """Return signatures.json over a manifest, by both keys."""
    return msgspec.structs.replace(sign_as_robot(data, robot, DOMAIN), operator=sign_as_operator(data, session, DOMAIN))


def receipt(
    data: bytes,
    *,
    hub: LocalAccount = HUB,
    index: int = 2,
    leaves: int = 5,
    trust: TrustClass = TrustClass.REPLAYED,
) -> bytes:
    """Return a receipt for a manifest that is entry `index` of a log of `leaves`."""
    manifest = manifests.decode(data)
    digest = manifests.digest(manifest, data, DOMAIN)
    entries = [bytes([number]) * 32 for number in range(leaves)]
    entries[index] = bytes.fromhex(digest[2:])
    nodes = merkle.in_memory([merkle.leaf_hash(entry) for entry in entries])
    head = Checkpoint(LOG_KEY.origin, leaves, merkle.tree_hash(nodes, 0, leaves))
    return sign_receipt(
        hub,
        DOMAIN,
        episode=manifest.episode,
        digest=digest,
        received_ms=RECEIVED_MS,
        log_origin=LOG_KEY.origin,
        log_index=index,
        checkpoint=LOG_KEY.sign(head),
        inclusion=["0x" + one.hex() for one in merkle.inclusion(nodes, index, leaves)],
        trust=trust if manifest.robot.simulated else TrustClass.WITNESSED,
    ).encode()


@dataclass(frozen=True, slots=True)
class Adversary:
    """Someone who holds a bundle in memory, and every key, and changes one thing at a time."""

    bundle: Bundle

    @classmethod
    def of(cls, folder: Path) -> Adversary:
        """Read a bundle."""
        return cls(opened(read_bundle(folder)))

    @property
    def manifest(self) -> Manifest:
        """The manifest."""
        return manifests.decode(self.bundle.manifest or b"")

    @property
    def episode(self) -> Episode:
        """The episode."""
        assert isinstance(self.bundle.episode, Episode)
        return self.bundle.episode

    def say(self, **changes: Any) -> Bundle:
        """Return the bundle with another manifest, signed anew by both, with a new receipt."""
        data = msgspec.structs.replace(self.manifest, **changes).encode()
        return with_parts(
            self.bundle,
            manifest=data,
            signatures=signed(data).encode(),
            receipt=receipt(data),
        )


def with_parts(bundle: Bundle, **changes: Any) -> Bundle:
    """Return the bundle with other parts."""
    return dataclasses.replace(bundle, **changes)
