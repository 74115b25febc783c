"""Verifying a bundle: read its documents, run them through the gates, then its file. Needs no network, hub or database.

    verify_bundle(folder, Trust(domain, hub=..., log_key=...))

raises the error of the first gate that refuses, or reports which gates passed and which were skipped. If one of them
cannot be carried out here, it raises an UnableError, which says nothing about the episode.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from recorder.file.apart import ReaderLostError
from recorder.proof.bundle import SIGNATURES_JSON, Bundle, TrustClass, opened, read_bundle
from recorder.proof.case import Case, Trust
from recorder.proof.checks.copies import Motion, motion_of
from recorder.proof.gates import DOCUMENT_GATES, FILE_GATES, GATES, Gate
from recorder.proof.refusals import BundleIncomplete
from recorder.proof.unable import unable
from teleop.identity import Domain


@dataclass(frozen=True, slots=True)
class Report:
    """An episode that no gate refused."""

    episode: str
    digest: str
    content_root: str
    passed: tuple[str, ...]
    skipped: tuple[str, ...]
    """Gates that need something that `Trust` does not give."""
    trust: TrustClass | None = None
    """What it rests on, as the hub signed; None if no receipt was checked, or an earlier release signed it."""
    motion: Motion | None = None
    """What a hub compares with its other episodes; None if there are no books."""


def verify_bundle(folder: Path, trust: Trust) -> Report:
    """Read the bundle in `folder` and verify it; raise the first gate's GateError, or UnableError."""
    return verify(read_bundle(folder), trust)


def verify(bundle: Bundle, trust: Trust) -> Report:
    """Run a bundle through every gate that applies; raise the first refusal, or UnableError.

    Its file, unless it was read before, is opened only once its documents have passed.
    """
    try:
        case = Case(bundle, trust)
        passed, skipped = _run(case, DOCUMENT_GATES)
        case = Case(opened(bundle, plain=trust.plain), trust)
        more, left = _run(case, FILE_GATES)
        motion = motion_of(case.episode) if trust.books else None
    except (MemoryError, ReaderLostError) as error:
        raise unable(error) from error
    manifest = case.manifest
    passed, skipped = passed + more, skipped + left
    rests_on = _signed_trust(case) if "receipt" in passed else None
    return Report(manifest.episode, case.digest, manifest.content_root, passed, skipped, rests_on, motion)


def _signed_trust(case: Case) -> TrustClass | None:
    found = case.receipt.trust
    return found if isinstance(found, TrustClass) else None


def _run(case: Case, gates: Iterable[Gate]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which gates passed, and which were skipped."""
    passed: list[str] = []
    skipped: list[str] = []
    for gate in gates:
        if not gate.applies(case):
            skipped.append(gate.name)
            continue
        if (problem := gate.check(case)) is not None:
            raise gate.error(problem)
        passed.append(gate.name)
    return tuple(passed), tuple(skipped)


def require_gates(bundle: Bundle, trust: Trust, names: Collection[str]) -> None:
    """Run a bundle through some of the gates only, in order; raise the first refusal."""
    case = Case(bundle, trust)
    for gate in GATES:
        if gate.name in names and (problem := gate.check(case)) is not None:
            raise gate.error(problem)


def signed_gates(trust: Trust) -> tuple[str, ...]:
    """Return the names of the gates that check every signature below a manifest, and need no file."""
    logged = ("inclusion",) if trust.log_key else ()
    return ("grant", "robot_signature", "operator_signature", "receipt", *logged)


def claimed_domain(bundle: Bundle) -> Domain:
    """Return the domain that signatures.json itself names; raise BundleIncomplete if it names none."""
    if bundle.signatures is None:
        raise BundleIncomplete("there is no complete episode in this folder: signatures.json is missing")
    try:
        found = SIGNATURES_JSON.decode(bundle.signatures).domain
    except ValueError as error:
        raise BundleIncomplete(f"signatures.json cannot be read: {error}") from error
    return Domain(found.chain_id, found.vault)
