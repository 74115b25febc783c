"""What is said of an episode as a whole, from its small files alone: to choose by, before any episode is opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from recorder.dataset.errors import FactsError
from recorder.export.errors import UnreadableBundleError
from recorder.proof import manifest as manifests
from recorder.proof.bundle import RECEIPT_JSON, SIGNATURES_JSON, TrustClass, read_small
from recorder.proof.manifest import Manifest, ManifestError

Facts = Mapping[str, Any]
"""Name -> text, number or truth value."""
SCORE_FILE: Final = "score.json"
_SAID: Final = msgspec.json.Decoder(dict[str, Any])


def facts_of(bundle: Path) -> dict[str, Any]:
    """Return what is said of the episode in a folder; raise UnreadableBundleError or FactsError.

    `episode`, `digest`, `operator`, `robot` (addresses), `model`, `simulated`, `task`, `task_version`, `instruction`,
    `seed`, `steps`, `control_hz`, `success`, `valid`, `end_reason`, `started_ms`, and `trust`: `replayed`, `witnessed`,
    or empty if there is no receipt. With a `score.json` beside the file, what that says: `score`, and its parts.

    Nothing is verified here: `armshare verify` does that.
    """
    manifest = manifest_of(bundle)
    facts = {
        "episode": manifest.episode,
        "digest": _digest(bundle),
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
        "trust": _trust(bundle, manifest.episode),
    }
    return {**_scored(bundle), **facts}


def manifest_of(bundle: Path) -> Manifest:
    """Return an episode's manifest; raise UnreadableBundleError."""
    data = read_small(bundle / "manifest.json")
    if data is None:
        raise UnreadableBundleError(f"{bundle} is no episode: there is no manifest.json in it.")
    try:
        return manifests.decode(data)
    except ManifestError as error:
        raise UnreadableBundleError(f"{bundle} is no whole episode: manifest.json: {error}") from error


def _digest(bundle: Path) -> str:
    data = read_small(bundle / "signatures.json")
    try:
        return "" if data is None else SIGNATURES_JSON.decode(data).digest
    except ValueError as error:
        raise UnreadableBundleError(f"{bundle} is no whole episode: signatures.json: {error}") from error


def _trust(bundle: Path, episode: str) -> str:
    """Return the class of trust that a receipt of this very episode says."""
    data = read_small(bundle / "receipt.json")
    if data is None:
        return ""
    try:
        receipt = RECEIPT_JSON.decode(data)
    except ValueError as error:
        raise UnreadableBundleError(f"{bundle} is no whole episode: receipt.json: {error}") from error
    if (receipt.episode, receipt.digest) != (episode, _digest(bundle)):
        raise UnreadableBundleError(f"{bundle} has the receipt of another episode. Fetch it again.")
    return receipt.trust.value if isinstance(receipt.trust, TrustClass) else ""


def _scored(bundle: Path) -> dict[str, Any]:
    """Return what `score.json` says, its parts too, if it is there."""
    data = read_small(bundle / SCORE_FILE)
    if data is None:
        return {}
    try:
        said = _SAID.decode(data)
    except (ValueError, RecursionError) as error:
        raise FactsError(f"{bundle}: {SCORE_FILE} cannot be read ({error}). Compute it again, or remove it.") from error
    parts = [one for one in said.values() if isinstance(one, dict)]
    flat = {name: value for part in (said, *parts) for name, value in part.items()}
    return {name: value for name, value in flat.items() if isinstance(value, str | int | float | bool)}
