"""The manifest: what an episode's file is and where it comes from, in the canonical bytes that are signed.

`of_episode` is the only way to make one, so a gate compares a manifest with the one that this code would have made.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final

import msgspec
import numpy as np

from recorder.file.commands import begins as command_begins
from recorder.file.commands import follows
from recorder.file.commands import heads as command_heads
from recorder.file.episode import Episode
from recorder.file.layout import FORMAT, VERSIONS
from recorder.file.meta import Decimal, GrantMeta, Hex32, OperatorMeta, RobotMeta, SafeInt, Sha256, canonical
from recorder.proof.content import content_root
from teleop.identity import Domain, load_statements
from teleop.wire.driver import Driver
from teleop.wire.reasons import EndReason
from teleop.wire.rules import RulesVersion

MANIFEST_BYTES_MAX: Final = 1 << 20
DURATION_MAX_MS: Final = 10**12
"""Whatever took longer is said to have taken this: 32 years."""
EPISODE_FILE: Final = "episode.h5"
NO_PREVIOUS: Final = "0x" + 64 * "0"
_STATEMENTS: Final = load_statements("recorder")
EPISODE: Final = _STATEMENTS["Episode"]
RECEIPT: Final = _STATEMENTS["EpisodeReceipt"]
OLD_RECEIPT: Final = _STATEMENTS["Receipt"]
"""As earlier releases signed it: without the class of trust."""


class ManifestError(ValueError):
    """Bytes are not a manifest."""


class NotCanonicalError(ManifestError):
    """The bytes are not RFC 8785 canonical JSON."""


class SchemaError(ManifestError):
    """The bytes are canonical JSON, but without the keys or types of a manifest."""


Count32 = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class ManifestTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator was asked to do."""

    name: str
    version: int
    instruction: str


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the bundle, size in bytes."""

    name: str
    size: SafeInt
    sha256: Sha256


class LastCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One whose hash no other holds: after it comes another epoch, or a gap. It binds those before it."""

    epoch: Count32
    seq: Count32
    sha256: Sha256


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A manifest (FORMAT.md, section 3)."""

    format: str
    version: int
    episode: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$(?!\n)")]
    robot: RobotMeta
    operator: OperatorMeta
    grant: GrantMeta
    task: ManifestTask
    seed: SafeInt
    nonce: Hex32
    engine: dict[str, str]
    control_hz: Annotated[float, msgspec.Meta(gt=0, le=10_000)]
    steps: SafeInt
    success: bool | None
    valid: bool
    reason: EndReason
    files: Annotated[list[FileEntry], msgspec.Meta(min_length=1, max_length=1)]
    meta_sha256: Sha256
    content_root: Hex32
    started_ms: Decimal
    ended_ms: Decimal
    previous: Hex32
    software: str
    commands: list[LastCommand] | msgspec.UnsetType = msgspec.UNSET
    """In order, with the last of all; version 1 does not have it."""
    driver: Driver | msgspec.UnsetType = msgspec.UNSET
    """Who or what drove, as the operator said; version 1 does not have it."""
    rules: RulesVersion | msgspec.UnsetType = msgspec.UNSET
    """By which version of the scoring rules it is scored, if the file says it."""

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return canonical(self)


_MANIFEST: Final = msgspec.json.Decoder(Manifest)


def of_episode(episode: Episode, *, size: int, sha256: str, root: str, previous: str, software: str) -> Manifest:
    """Return the manifest of an episode whose file has this size in bytes, SHA-256 and content root (0x-hex)."""
    meta, end = episode.meta, episode.end
    return Manifest(
        format=FORMAT,
        version=meta.version,
        episode=meta.episode,
        robot=meta.robot,
        operator=meta.operator,
        grant=meta.grant,
        task=ManifestTask(meta.task.name, meta.task.version, meta.task.instruction),
        seed=meta.seed,
        nonce=meta.nonce,
        engine=meta.engine,
        control_hz=meta.spec.control_hz,
        steps=end.steps,
        success=end.success,
        valid=end.reason.valid,
        reason=end.reason,
        files=[FileEntry(EPISODE_FILE, size, sha256)],
        meta_sha256=hashlib.sha256(episode.meta_bytes).hexdigest(),
        content_root=root,
        started_ms=ms_of_ns(meta.t_wall_ns),
        ended_ms=ms_of_ns(end.t_wall_ns),
        previous=previous,
        software=software,
        commands=msgspec.UNSET if meta.version == 1 else last_commands(episode),
        driver=meta.driver,
        rules=meta.rules,
    )


def last_commands(episode: Episode) -> list[LastCommand]:
    """Return the last command of each epoch, and before each that is followed by a gap, in order.

    No command after a gap holds the hash of one before it that came.
    """
    heads, begins = command_heads(episode.arrays), command_begins(episode.arrays)
    data, ends = episode.arrays["commands/bytes"].data, episode.arrays["commands/end"]
    last = np.flatnonzero(~np.append(follows(heads), False)[1:])
    return [
        LastCommand(
            int(heads["epoch"][row]),
            int(heads["seq"][row]),
            hashlib.sha256(data[begins[row] : ends[row]]).hexdigest(),
        )
        for row in last
    ]


def root_hex(episode: Episode) -> str:
    """Return an episode's content root as 0x-hex."""
    return "0x" + content_root(episode.arrays).hex()


def ms_of_ns(decimal_ns: str) -> str:
    """Return nanoseconds as milliseconds, floored; both are decimal strings."""
    return str(int(decimal_ns) // 1_000_000)


def duration_ms(manifest: Manifest) -> int:
    """Return how long an episode took, ms: a simulation's own time, or what passed on its host's wall clock.

    It is between 0 and `DURATION_MAX_MS`, whatever the manifest says.
    """
    if manifest.robot.simulated:
        took_ms = min(1000 * manifest.steps / manifest.control_hz, DURATION_MAX_MS)
    else:
        took_ms = int(manifest.ended_ms) - int(manifest.started_ms)
    return round(min(max(0, took_ms), DURATION_MAX_MS))


def require_canonical(data: bytes) -> None:
    """Raise NotCanonicalError unless `data` is RFC 8785 JSON of at most 1 MiB."""
    if len(data) > MANIFEST_BYTES_MAX:
        raise NotCanonicalError(f"expected at most {MANIFEST_BYTES_MAX} bytes of manifest, got {len(data)}")
    try:
        found = canonical(msgspec.json.decode(data))
    except (ValueError, RecursionError) as error:
        raise NotCanonicalError(f"expected canonical JSON (RFC 8785): {error}") from error
    if found != data:
        at = next((i for i, pair in enumerate(zip(found, data, strict=False)) if pair[0] != pair[1]), len(found))
        raise NotCanonicalError(f"expected canonical JSON (RFC 8785); it differs from byte {at} on")


def decode(data: bytes) -> Manifest:
    """Read a manifest; raise NotCanonicalError or SchemaError."""
    require_canonical(data)
    try:
        manifest = _MANIFEST.decode(data)
    except ValueError as error:
        raise SchemaError(f"expected the keys and types of FORMAT.md section 3: {error}") from error
    if manifest.format != FORMAT or manifest.version not in VERSIONS:
        found = f"{manifest.format!r} {manifest.version}"
        raise SchemaError(f"expected {FORMAT} of {VERSIONS}, got {found}; use a newer reader")
    for name in ("commands", "driver"):
        if ((found := getattr(manifest, name)) is msgspec.UNSET) is not (manifest.version == 1):
            raise SchemaError(f"expected `{name}` from version 2 on, got {found} in {manifest.version}")
    if manifest.rules is not msgspec.UNSET and manifest.version == 1:
        raise SchemaError(f"expected no `rules` in version 1, got {manifest.rules!r}")
    if manifest.files[0].name != EPISODE_FILE:
        raise SchemaError(f"expected one file, {EPISODE_FILE}, got {manifest.files[0].name!r}")
    return manifest


def statement(manifest: Manifest, data: bytes) -> dict[str, Any]:
    """Return the values of the EIP-712 `Episode` over a manifest and its exact bytes."""
    return {
        "episodeId": manifest.episode,
        "manifestSha256": hashlib.sha256(data).digest(),
        "contentRoot": bytes.fromhex(manifest.content_root[2:]),
        "operator": manifest.operator.address,
        "robot": manifest.robot.address,
        "task": manifest.task.name,
        "startedMs": int(manifest.started_ms),
        "endedMs": int(manifest.ended_ms),
        "previous": bytes.fromhex(manifest.previous[2:]),
    }


def digest(manifest: Manifest, data: bytes, domain: Domain) -> str:
    """Return the 32-byte EIP-712 digest, as 0x-hex, that the robot and the operator sign."""
    return "0x" + EPISODE.digest(domain, statement(manifest, data)).hex()
