"""The operator's side of an episode: check the manifest that the host wrote, and sign it.

Whoever has just driven it has the session key. Later, only the wallet that granted it can make that key again
(`docs/decisions/0026-between-finish-and-receipt.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from eth_account.signers.local import LocalAccount

from recorder.proof import manifest as manifests
from recorder.proof.bundle import Bundle
from recorder.proof.case import Trust
from recorder.proof.manifest import EPISODE, LastCommand, Manifest
from recorder.proof.verify import require_gates
from teleop.identity import Domain, session_key
from teleop.wire.driver import Driver

Sent = Callable[[int, int], bytes | None]
"""What a client sent, by epoch and `seq`: the SHA-256 of that command; None if it sent nothing in that epoch, as
another window or an earlier run of it did; and anything else, such as no bytes, if it sent others in that epoch, and
not this."""


class NotOurEpisodeError(Exception):
    """A manifest does not describe what we drove; it must not be signed."""


class OtherDriverError(NotOurEpisodeError):
    """A manifest names another driver than we did: somebody made a person of a program, or the other way round."""


class OtherCommandsError(NotOurEpisodeError):
    """A manifest names a command that we did not send: something else drove the robot in our name."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What an operator knows about an episode from driving it."""

    episode: str
    operator: str
    robot: str
    task: str
    driver: Driver | None = None
    """Who or what drove, as the hub was told; None if another client told it."""


def countersign(
    data: bytes, driven: Driven, session_key: LocalAccount, domain: Domain, sent: Sent | None = None
) -> str:
    """Return the operator's signature over a manifest's bytes.

    With `sent`, the manifest's commands must be those that were sent; which epochs it knows nothing of,
    `driven_elsewhere` says. Raises NotOurEpisodeError, OtherDriverError, OtherCommandsError or ManifestError.
    """
    manifests.require_canonical(data)
    manifest = manifests.decode(data)
    said = Driven(
        manifest.episode, manifest.operator.address, manifest.robot.address, manifest.task.name, driven.driver
    )
    if said != driven or manifest.operator.session_key != session_key.address:
        raise NotOurEpisodeError(f"expected a manifest of {driven} by {session_key.address}, got one of {said}")
    if driven.driver is not None and manifest.driver != driven.driver:
        host = "nobody" if manifest.driver is msgspec.UNSET else manifest.driver
        told = f"{driven.episode} was driven by {driven.driver}, and the robot's computer says {host}"
        raise OtherDriverError(f"{told}. Do not sign it; discard it")
    if sent is not None:
        _require_sent(manifest, sent)
    return EPISODE.sign(session_key, domain, manifests.statement(manifest, data))


def driven_elsewhere(data: bytes, sent: Sent) -> list[int]:
    """Return the epochs of a manifest in which this client sent nothing, and so cannot say what was commanded."""
    elsewhere = [last.epoch for last in _commands(manifests.decode(data)) if sent(last.epoch, last.seq) is None]
    return list(dict.fromkeys(elsewhere))


def _require_sent(manifest: Manifest, sent: Sent) -> None:
    for last in _commands(manifest):
        ours = sent(last.epoch, last.seq)
        if ours is not None and ours.hex() != last.sha256:
            raise OtherCommandsError(
                f"{manifest.episode} was not driven by what was sent here: its host says that command {last.seq} of "
                f"epoch {last.epoch} was {last.sha256}, and {_said(ours)}. Do not sign it; discard it"
            )


def _commands(manifest: Manifest) -> list[LastCommand]:
    """Return what binds the commands; raise OtherCommandsError if a host leaves that out, as format 1 did."""
    if manifest.commands is msgspec.UNSET:
        how = "its host must be updated"
        raise OtherCommandsError(
            f"{manifest.episode} does not say what was commanded (format {manifest.version}): {how}"
        )
    return manifest.commands


def _said(ours: bytes) -> str:
    return f"the one that was sent was {ours.hex()}" if ours else "none of that number was sent"


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
