"""The operator's side of an episode: check the manifest that the host wrote, and sign it.

Whoever has just driven it has the session key. Later, only the wallet that granted it can make that key again
(`docs/decisions/0026-between-finish-and-receipt.md`).
"""

from __future__ import annotations

from dataclasses import dataclass

from eth_account.signers.local import LocalAccount

from recorder.proof import manifest as manifests
from recorder.proof.bundle import Bundle
from recorder.proof.case import Trust
from recorder.proof.manifest import EPISODE
from recorder.proof.verify import require_gates
from teleop.identity import Domain, session_key


class NotOurEpisodeError(Exception):
    """A manifest does not describe what we drove; it must not be signed."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What an operator knows about an episode from driving it."""

    episode: str
    operator: str
    robot: str
    task: str


def countersign(data: bytes, driven: Driven, session_key: LocalAccount, domain: Domain) -> str:
    """Return the operator's signature over a manifest's bytes; raise NotOurEpisodeError or ManifestError."""
    manifests.require_canonical(data)
    manifest = manifests.decode(data)
    said = Driven(manifest.episode, manifest.operator.address, manifest.robot.address, manifest.task.name)
    if said != driven or manifest.operator.session_key != session_key.address:
        raise NotOurEpisodeError(f"expected a manifest of {driven} by {session_key.address}, got one of {said}")
    return EPISODE.sign(session_key, domain, manifests.statement(manifest, data))


def sign_later(data: bytes, episode: str, wallet: LocalAccount, domain: Domain) -> str:
    """Return the signature over a manifest's bytes by the session key that `wallet` granted, which it makes again.

    Raises NotOurEpisodeError, or a GateError if the manifest is malformed or the grant in it is not this wallet's.
    """
    require_gates(Bundle(data, None, None, None, None, None), Trust(domain), ("canonical", "schema", "grant"))
    manifest = manifests.decode(data)
    if (manifest.episode, manifest.operator.address) != (episode, wallet.address):
        said = f"{manifest.episode} by {manifest.operator.address}"
        raise NotOurEpisodeError(f"expected a manifest of {episode} by {wallet.address}, got one of {said}")
    key = session_key(wallet, domain, manifest.grant.values.nonce)
    if key.address != manifest.operator.session_key:
        how = "only the program that drove it can sign it; discard it"
        raise NotOurEpisodeError(f"{episode} was driven with a key that its wallet does not make again: {how}")
    return EPISODE.sign(key, domain, manifests.statement(manifest, data))
