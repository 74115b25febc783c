"""What is said of an episode as a whole, from its small files alone: to choose by, before any episode is opened.

None of these files proves itself: whoever hands a folder on can change them. So `trust` is given only if a hub is named
and its signature holds, with those of the robot and the operator; what nobody signed has `unverified_` before its name;
and the rest, which the manifest says, is compared with the file when that is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from recorder.dataset.errors import FactsError
from recorder.dataset.remote.bundle import RemoteBundle
from recorder.export.demonstrations import imported_facts
from recorder.export.errors import UnreadableBundleError
from recorder.file.apart import reader
from recorder.file.episode import Episode, EpisodeError
from recorder.proof import manifest as manifests
from recorder.proof.bundle import (
    MANIFEST_FILE,
    RECEIPT_FILE,
    RECEIPT_JSON,
    SCORE_FILE,
    SIGNATURES_FILE,
    SIGNATURES_JSON,
    Bundle,
    Receipt,
    TrustClass,
    read_small,
)
from recorder.proof.case import Trust
from recorder.proof.manifest import EPISODE_FILE, Manifest, ManifestError
from recorder.proof.named import hub_keys, trust_in
from recorder.proof.refusals import GateError
from recorder.proof.verify import require_gates, signed_gates
from teleop.identity import Domain

Place = Path | RemoteBundle
"""Where an episode is: in a folder, or at a URL."""
Facts = Mapping[str, Any]
"""Name -> text, number or truth value."""
Hub = Trust | Path | str
"""A hub that is named: its keys, or the file in which they were saved (`curl -s URL/api/config > hub.json`)."""
UNVERIFIED: Final = "unverified_"
_SCORE: Final = msgspec.json.Decoder(dict[str, Any])


def facts_of(bundle: Place, hub: Hub | None = None) -> dict[str, Any]:
    """Return what is said of an episode; raise UnreadableBundleError, FactsError, HubKeysError or RemoteError.

    `episode`, `digest`, `operator`, `robot` (addresses), `model`, `simulated`, `task`, `task_version`, `instruction`,
    `seed`, `steps`, `control_hz`, `success`, `valid`, `end_reason`, `started_ms`, and `sha256` of the file, as the
    manifest says; and `trust`: `replayed` or `witnessed` if `hub` vouches for it, else empty. `EpisodeDataset` compares
    an episode's file with these when it opens it, and hashes it if there is trust.

    With a `score.json` beside the file, what that says, its parts too: `unverified_score` and so on. Nobody signs it;
    `armshare verify --score` and exports compute scores.

    An imported episode has no manifest: its file says all this, with `imported_from`, `imported_sha256`,
    `imported_index` and more, and its trust is empty whatever hub is named.
    """
    unsigned = isinstance(bundle, Path) and not os.path.lexists(bundle / MANIFEST_FILE)
    if unsigned and (imported := _imported(bundle)) is not None:
        return imported
    manifest, data = _manifest(bundle)
    facts = {
        **_scored(bundle),
        **_said(manifest),
        "sha256": manifest.files[0].sha256,
        "digest": _digest(bundle, manifest, data),
    }
    return {**facts, "trust": _trust(bundle, data, facts, hub)}


def require_file(bundle: Place, facts: Facts, episode: Episode, sha256: Callable[[], str | None]) -> None:
    """Raise UnreadableBundleError unless the file in a folder is the episode of these facts.

    If a hub vouches for it, it is that to the last byte: then `sha256` is asked for.
    """
    if episode.meta.origin is not None:
        if facts != _imported(bundle):
            raise UnreadableBundleError(f"{bundle}: {EPISODE_FILE} has changed since. Import it again.")
        return
    shown = _said(manifests.of_episode(episode, size=0, sha256="", root="", previous="", software=""))
    if any(facts[name] != value for name, value in shown.items()):
        both = f"{MANIFEST_FILE} and {EPISODE_FILE}"
        raise UnreadableBundleError(f"{bundle}: {both} are not of one episode, or one was changed. Fetch it again.")
    if facts["trust"] and sha256() != facts["sha256"]:
        raise UnreadableBundleError(f"{bundle}: {EPISODE_FILE} is not the file that was verified. Fetch it again.")


def _imported(bundle: Place) -> dict[str, Any] | None:
    """Return what is said of an imported episode, from its file; None if there is none.

    `imported_from` and so on say where it comes from. It has neither operator nor trust.
    """
    if not isinstance(bundle, Path):
        return None  # what is served is signed
    try:
        meta = reader().read(bundle / EPISODE_FILE, imported=True).meta
    except EpisodeError:
        return None
    if meta.origin is None or meta.end is None:
        return None
    return {
        **imported_facts(meta, meta.origin),
        "operator": "",
        "robot": "",
        "model": meta.robot.model,
        "simulated": meta.robot.simulated,
        "task": meta.task.name,
        "task_version": meta.task.version,
        "instruction": meta.task.instruction,
        "seed": meta.seed,
        "steps": meta.end.steps,
        "control_hz": meta.spec.control_hz,
        "valid": False,
        "end_reason": str(meta.origin.says.get("end_reason", "")),
    }


def _said(manifest: Manifest) -> dict[str, Any]:
    return {
        "episode": manifest.episode,
        "operator": manifest.operator.address,
        "robot": manifest.robot.address,
        "model": manifest.robot.model,
        "simulated": manifest.robot.simulated,
        "task": manifest.task.name,
        "task_version": manifest.task.version,
        "instruction": manifest.task.instruction,
        "seed": manifest.seed,
        "steps": manifest.steps,
        "control_hz": manifest.control_hz,
        "success": manifest.success is True,
        "valid": manifest.valid,
        "end_reason": manifest.reason.value,
        "started_ms": int(manifest.started_ms),
    }


def _document(bundle: Place, name: str) -> bytes | None:
    return bundle.document(name) if isinstance(bundle, RemoteBundle) else read_small(bundle / name)


def _manifest(bundle: Place) -> tuple[Manifest, bytes]:
    """Return an episode's manifest, and its bytes; raise UnreadableBundleError."""
    data = _document(bundle, MANIFEST_FILE)
    if data is None:
        raise UnreadableBundleError(f"{bundle} is not an episode: there is no {MANIFEST_FILE} in it.")
    try:
        return manifests.decode(data), data
    except ManifestError as error:
        raise UnreadableBundleError(f"{bundle} is not a complete episode: {MANIFEST_FILE}: {error}") from error


def _digest(bundle: Place, manifest: Manifest, data: bytes) -> str:
    """Return what robot and operator sign of this manifest, empty if nobody has; raise if they signed another."""
    signed = _document(bundle, SIGNATURES_FILE)
    if signed is None:
        return ""
    try:
        signatures = SIGNATURES_JSON.decode(signed)
    except ValueError as error:
        raise UnreadableBundleError(f"{bundle} is not a complete episode: {SIGNATURES_FILE}: {error}") from error
    domain = Domain(signatures.domain.chain_id, signatures.domain.vault)
    if (found := manifests.digest(manifest, data, domain)) != signatures.digest:
        both = f"{MANIFEST_FILE} and {SIGNATURES_FILE}"
        raise UnreadableBundleError(f"{bundle}: {both} are not of one episode, or one was changed. Fetch it again.")
    return found


def _trust(bundle: Place, data: bytes, facts: Facts, hub: Hub | None) -> str:
    """Return the class of trust for which a hub vouches."""
    receipt = _receipt(bundle, facts)
    if hub is None or receipt is None:
        return ""
    trust = hub if isinstance(hub, Trust) else trust_in(hub_keys(Path(hub)))
    signatures, said = (_document(bundle, name) for name in (SIGNATURES_FILE, RECEIPT_FILE))
    try:
        require_gates(Bundle(data, signatures, said, None, None, None), trust, signed_gates(trust))
    except GateError:
        return ""
    return receipt.trust.value if isinstance(receipt.trust, TrustClass) else ""


def _receipt(bundle: Place, facts: Facts) -> Receipt | None:
    """Return the receipt, if there is one; raise UnreadableBundleError if it is of another episode."""
    data = _document(bundle, RECEIPT_FILE)
    if data is None:
        return None
    try:
        receipt = RECEIPT_JSON.decode(data)
    except ValueError as error:
        raise UnreadableBundleError(f"{bundle} is not a complete episode: {RECEIPT_FILE}: {error}") from error
    if (receipt.episode, receipt.digest) != (facts["episode"], facts["digest"]):
        raise UnreadableBundleError(f"{bundle} has the receipt of another episode. Fetch it again.")
    return receipt


def _scored(bundle: Place) -> dict[str, Any]:
    """Return what `score.json` says, its parts too, if it is there."""
    data = _document(bundle, SCORE_FILE)
    if data is None:
        return {}
    try:
        said = _SCORE.decode(data)
    except (ValueError, RecursionError) as error:
        raise FactsError(f"{bundle}: {SCORE_FILE} cannot be read ({error}). Compute it again, or remove it.") from error
    parts = [one for one in said.values() if isinstance(one, dict)]
    flat = {UNVERIFIED + name: value for part in (said, *parts) for name, value in part.items()}
    return {name: value for name, value in flat.items() if isinstance(value, str | int | float | bool)}
