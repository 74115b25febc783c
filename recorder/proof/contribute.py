"""The operator's side of an episode: check the manifest that the host wrote, and sign it with the session key."""

from __future__ import annotations

from dataclasses import dataclass

from eth_account.signers.local import LocalAccount

from recorder.proof import manifest as manifests
from recorder.proof.manifest import EPISODE
from teleop.identity import Domain


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
