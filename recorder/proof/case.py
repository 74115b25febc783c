"""What the gates check: one bundle, and what the verifier takes as given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recorder.file.episode import Episode
from recorder.proof import manifest as manifests
from recorder.proof.asked import Asked, Live
from recorder.proof.bundle import RECEIPT_JSON, SIGNATURES_JSON, Bundle, Receipt, Signatures
from recorder.proof.checks.copies import Twin
from recorder.proof.manifest import Manifest
from sim.robot import RobotError
from teleop.identity import Domain

Replayer = Callable[[Episode], None]
"""Re-simulates an episode; raises one of `unable.REFUTED` that says where the result differs, SpecDiffersError if that
is in what the episode says of its robot or task, and any other Exception if it cannot be simulated here. Picklable, for
a worker process."""


class SpecDiffersError(RobotError):
    """The episode says otherwise of its robot or task than the simulation does."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the hub asked for when it began an episode; `nonce` is 0x-hex of 32 bytes."""

    episode: str
    robot: str
    operator: str
    task: str
    seed: int
    nonce: str
    asked: Asked | None = None
    """What else it fixed; None for a ticket of an earlier release, which did not note it."""
    live: Live | None = None
    """What it heard while the episode was driven; None for a ticket of an earlier release."""
    rules: str | None = None
    """The version of the scoring rules that it named; None for a ticket of an earlier release."""
    private: bool = False
    """Whether the episode is private: its recording is kept sealed, and given to those who may read it."""


@dataclass(frozen=True, slots=True)
class Books:
    """What only the hub knows: whether it asked for this episode, and which episodes came before it."""

    ticket: Ticket | None
    twin: str | None
    """Another episode with the same content root."""
    rival: str | None
    """An episode of the robot with the same `previous` that was sealed earlier; None if that is zeros."""
    received_ms: int | None = None
    """When the host sealed it, by the hub's clock; None if an earlier release took it in, which did not note it."""
    copied: Twin | None = None
    """A verified episode with the same motion. A hub looks for it last, once the rest has passed."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a verifier takes as given. What is None is not checked, and the report says so."""

    domain: Domain
    books: Books | None = None
    replay: Replayer | None = None
    hub: str | None = None
    """The address that signs receipts."""
    log_key: str | None = None
    """The log's C2SP verifier key."""
    plain: bool = False
    """Whether the file must be as the writer makes it, as a hub takes it; else it may be repacked."""


@dataclass(frozen=True, slots=True)
class Case:
    """One bundle before the gates. Each property relies on what an earlier gate has checked."""

    bundle: Bundle
    trust: Trust

    @property
    def data(self) -> bytes:
        """The manifest's bytes."""
        return self.bundle.manifest or b""

    @property
    def manifest(self) -> Manifest:
        """The manifest."""
        return manifests.decode(self.data)

    @property
    def episode(self) -> Episode:
        """The episode."""
        if isinstance(self.bundle.episode, Episode):
            return self.bundle.episode
        raise TypeError("expected an episode; the structure gate comes before this one")

    @property
    def signatures(self) -> Signatures:
        """signatures.json; raises msgspec.DecodeError."""
        return SIGNATURES_JSON.decode(self.bundle.signatures or b"")

    @property
    def receipt(self) -> Receipt:
        """receipt.json; raises msgspec.DecodeError."""
        return RECEIPT_JSON.decode(self.bundle.receipt or b"")

    @property
    def digest(self) -> str:
        """This manifest's digest, 0x-hex."""
        return manifests.digest(self.manifest, self.data, self.trust.domain)
