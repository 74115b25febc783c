"""Verifying a bundle: read it once, then run it through the gates. Needs no network, hub or database.

    verify_bundle(folder, Trust(domain, hub=..., log_key=...))

raises the error of the first gate that refuses, or reports which gates passed and which were skipped.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from recorder.proof.bundle import SIGNATURES_JSON, Bundle, read_bundle
from recorder.proof.case import Case, Trust
from recorder.proof.gates import GATES
from recorder.proof.refusals import BundleIncomplete
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


def verify_bundle(folder: Path, trust: Trust) -> Report:
    """Read the bundle in `folder` and verify it; raise the GateError of the first gate that refuses."""
    return verify(read_bundle(folder), trust)


def verify(bundle: Bundle, trust: Trust) -> Report:
    """Run a bundle through every gate that applies; raise the first refusal."""
    case = Case(bundle, trust)
    passed: list[str] = []
    skipped: list[str] = []
    for gate in GATES:
        if not gate.applies(case):
            skipped.append(gate.name)
            continue
        if (problem := gate.check(case)) is not None:
            raise gate.error(problem)
        passed.append(gate.name)
    manifest = case.manifest
    return Report(manifest.episode, case.digest, manifest.content_root, tuple(passed), tuple(skipped))


def require_gates(bundle: Bundle, trust: Trust, names: Collection[str]) -> None:
    """Run a bundle through some of the gates only, in order; raise the first refusal."""
    case = Case(bundle, trust)
    for gate in GATES:
        if gate.name in names and (problem := gate.check(case)) is not None:
            raise gate.error(problem)


def claimed_domain(bundle: Bundle) -> Domain:
    """Return the domain that signatures.json itself names; raise BundleIncomplete if it names none."""
    if bundle.signatures is None:
        raise BundleIncomplete("there is no whole episode in this folder: signatures.json is missing")
    try:
        found = SIGNATURES_JSON.decode(bundle.signatures).domain
    except ValueError as error:
        raise BundleIncomplete(f"signatures.json cannot be read: {error}") from error
    return Domain(found.chain_id, found.vault)
