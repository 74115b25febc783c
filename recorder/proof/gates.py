"""The gates that check an episode, in order: each is pure, and refuses with exactly one named error.

`GATES` is the table of FORMAT.md section 6: first the documents and the file's hash, and only then its values, which
are not even parsed before. A `check` returns None, or one sentence that says what was expected, what was found and what
to do; `verify.py` raises it as the gate's error. One that cannot be carried out here raises an UnableError. No gate
reads a file, a clock or a database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from recorder.file.episode import Episode, EpisodeError
from recorder.file.rows import stages_of
from recorder.proof import asked as facts
from recorder.proof import manifest as manifests
from recorder.proof import refusals as no
from recorder.proof.bundle import TrustClass, domain_meta
from recorder.proof.case import Case, SpecDiffersError, Ticket
from recorder.proof.checks import commands, motion, pictures
from recorder.proof.checks.copies import require_own
from recorder.proof.log import checkpoint as checkpoints
from recorder.proof.log import merkle
from recorder.proof.manifest import EPISODE, Manifest
from recorder.proof.seal import require_receipt_signed
from recorder.proof.unable import REFUTED, unable
from teleop.identity import SESSION_GRANT, SignatureError
from teleop.wire.reasons import EndReason

Check = Callable[[Case], str | None]
_HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half the order of secp256k1: of the two signatures that verify, only the one with the lower s counts."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: its check, the error it refuses with, and whether enough is known to run it."""

    name: str
    error: type[no.GateError]
    check: Check
    applies: Callable[[Case], bool] = lambda case: True


def _complete(case: Case) -> str | None:
    bundle = case.bundle
    needed = {
        "episode.h5": bundle.sha256,
        "manifest.json": bundle.manifest,
        "signatures.json": bundle.signatures,
        "receipt.json": bundle.receipt if _wants_receipt(case) else b"",
    }
    if missing := sorted(name for name, found in needed.items() if found is None):
        all_of_them = f"{', '.join(needed)}, each a regular file, of at most 1 MiB (episode.h5 aside)"
        return f"missing, or not a regular file: {', '.join(missing)}; an episode has {all_of_them}"
    return None


def _canonical(case: Case) -> str | None:
    try:
        manifests.require_canonical(case.data)
    except manifests.NotCanonicalError as error:
        return str(error)
    return None


def _schema(case: Case) -> str | None:
    try:
        manifests.decode(case.data)
    except manifests.SchemaError as error:
        return str(error)
    return None


def _file(case: Case) -> str | None:
    entry = case.manifest.files[0]
    found = (case.bundle.size, case.bundle.sha256)
    if found == (entry.size, entry.sha256):
        return None
    return f"expected {entry.name} of {entry.size} bytes, SHA-256 {entry.sha256}; got {found[0]}, {found[1]}"


def _structure(case: Case) -> str | None:
    found = case.bundle.episode
    return f"{type(found).__name__}: {found}" if isinstance(found, EpisodeError) else None


def _agrees(case: Case) -> str | None:
    said = case.manifest
    entry = said.files[0]
    expected = manifests.of_episode(
        case.episode,
        size=entry.size,
        sha256=entry.sha256,
        root=said.content_root,
        previous=said.previous,
        software=said.software,
    )
    for field in Manifest.__struct_fields__:
        if getattr(expected, field) != getattr(said, field):
            return f"{field}: the file gives {getattr(expected, field)!r}, the manifest {getattr(said, field)!r}"
    return None


def _content(case: Case) -> str | None:
    found, said = manifests.root_hex(case.episode), case.manifest.content_root
    return None if found == said else f"the values give {found}, the manifest says {said}"


def _commanded(case: Case) -> str | None:
    return commands.problem(case.episode)


def _safe(case: Case) -> str | None:
    return commands.unsafe(case.episode)


def _grant(case: Case) -> str | None:
    manifest, values = case.manifest, case.manifest.grant.values
    pairs = {
        "operator": (manifest.operator.address, values.operator),
        "sessionKey": (manifest.operator.session_key, values.session_key),
        "robot": (manifest.robot.address, values.robot),
        "task": (manifest.task.name, values.task),
    }
    for name, (used, granted) in pairs.items():
        if used != granted:
            return f"{name}: the episode has {used!r}, the wallet granted {granted!r}"
    if int(values.not_after_ms) < int(manifest.ended_ms):
        return f"the grant ended at {values.not_after_ms} ms, the episode at {manifest.ended_ms} ms"
    try:
        signature = manifest.grant.signature
        SESSION_GRANT.require(values.operator, case.trust.domain, values.statement(), signature)
    except SignatureError as error:
        return str(error)
    return None


def _robot_signed(case: Case) -> str | None:
    try:
        signatures = case.signatures
    except ValueError as error:
        return f"signatures.json is not what FORMAT.md section 4 says: {error}"
    if signatures.domain != domain_meta(case.trust.domain):
        return f"expected the domain {domain_meta(case.trust.domain)}, got {signatures.domain}"
    if signatures.digest != case.digest:
        return f"the manifest has the digest {case.digest}, signatures.json says {signatures.digest}"
    return _signed(case, case.manifest.robot.address, signatures.robot)


def _operator_signed(case: Case) -> str | None:
    signature = case.signatures.operator
    if signature is None:
        return f"expected the signature of {case.manifest.operator.session_key}, got none yet"
    return _signed(case, case.manifest.operator.session_key, signature)


def _signed(case: Case, signer: str, signature: str) -> str | None:
    if int(signature[66:130], 16) > _HALF_ORDER:
        return f"expected the lower of the two values of s (EIP-2), got {signature}"
    try:
        EPISODE.require(signer, case.trust.domain, manifests.statement(case.manifest, case.data), signature)
    except SignatureError as error:
        return str(error)
    return None


def _asked_for(case: Case) -> str | None:
    if _ticket(case) is None:
        return f"this hub did not begin {case.manifest.episode!r}; hand it in where it was driven"
    return None


def _ticket_agrees(case: Case) -> str | None:
    manifest, ticket = case.manifest, _ticket(case)
    address = (manifest.robot.address, manifest.operator.address)
    found = (manifest.episode, *address, manifest.task.name, manifest.seed)
    if ticket is None:
        return None
    expected = (ticket.episode, ticket.robot, ticket.operator, ticket.task, ticket.seed)
    if found != expected:
        return f"expected episode, robot, operator, task and seed {expected}, got {found}"
    if (other := facts.other_rules(ticket.rules, manifest)) or ticket.asked is None:
        return other
    differs = facts.another_grant, facts.another_format, facts.another_driver
    return next((said for differing in differs if (said := differing(ticket.asked, manifest))), None)


def _nonce(case: Case) -> str | None:
    ticket = _ticket(case)
    if ticket is None or ticket.nonce == case.manifest.nonce:
        return None
    return f"expected the nonce {ticket.nonce}, got {case.manifest.nonce}"


def _spec(case: Case) -> str | None:
    ticket = _ticket(case)
    return facts.another_robot(ticket.asked, case.episode.meta) if ticket and ticket.asked else None


def _succeeded(case: Case) -> str | None:
    """Success and length are what the steps show, and no longer than the task allows."""
    episode, most = case.episode, case.episode.meta.task.max_steps
    flags = episode.arrays["success"]
    if not ((flags >= -1) & (flags <= 1)).all():
        return f"expected success as -1, 0 or 1, got {flags[(flags < -1) | (flags > 1)][0]}"
    last = int(flags[-1])
    shown = None if last < 0 else bool(last)
    if episode.end.success is not shown:
        return f"the last step shows success as {shown}, the episode's end says {episode.end.success}"
    if 0 < most < episode.steps:
        return f"the task allows {most} steps, the episode has {episode.steps}"
    return _staged(episode)


def _staged(episode: Episode) -> str | None:
    """The stages are what progress shows; version 1 has none."""
    if "stage" not in episode.arrays:
        return None
    shown = stages_of(episode.arrays["progress"], len(episode.meta.task.stages))
    wrong = np.flatnonzero(shown != episode.arrays["stage"])
    if not len(wrong):
        return None
    at = int(wrong[0])
    return f"at observation {at}, progress shows stage {shown[at]}, and `stage` says {episode.arrays['stage'][at]}"


def _timely(case: Case) -> str | None:
    ticket, books = _ticket(case), case.trust.books
    if ticket is None or ticket.asked is None or books is None or books.received_ms is None:
        return None
    seen = case.episode.t_observed_ns
    span_ms = int(seen[-1] - seen[0]) / 1e6
    return facts.untimely(ticket.asked, books.received_ms, case.manifest, span_ms, ticket.live)


def _ended(case: Case) -> str | None:
    """Its end is what its operator asked for, and was told. The file is not open yet when its host seals it."""
    manifest, opened, ticket = case.manifest, case.bundle.episode, _ticket(case)
    if isinstance(opened, Episode) and manifest.reason is EndReason.STEP_LIMIT:
        most = opened.meta.task.max_steps
        if manifest.steps != most:
            return f"the episode says that it reached its task's limit of {most} steps, and has {manifest.steps}"
    if ticket is None or ticket.live is None:
        return None
    word = facts.another_word(ticket.live, opened.end) if isinstance(opened, Episode) else None
    return facts.another_end(ticket.live, manifest) or word


def _first(case: Case) -> str | None:
    twin = case.trust.books.twin if case.trust.books else None
    if twin is None:
        return None
    said = f"the recording {case.manifest.content_root} was handed in before, as {twin!r}; record a new one"
    raise no.DuplicateEpisode(said).repeating(twin)


def _one_chain(case: Case) -> str | None:
    rival = case.trust.books.rival if case.trust.books else None
    return None if rival is None else f"{case.manifest.previous} is already continued by {rival!r}"


def _moved(case: Case) -> str | None:
    return motion.problem(case.episode)


def _seen(case: Case) -> str | None:
    return pictures.problem(case.episode)


def _replayed(case: Case) -> str | None:
    if case.trust.replay is None:
        return None
    if not case.episode.meta.engine:
        return "the episode says that it was simulated, and names no engine that did it"
    try:
        case.trust.replay(case.episode)
    except SpecDiffersError as error:
        raise no.SpecMismatch(str(error)) from error
    except REFUTED as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:  # the simulator is injected; whatever else fails in it says nothing of the episode
        raise unable(error) from error
    return None


def _own_motion(case: Case) -> str | None:
    require_own(case.trust.books.copied if case.trust.books else None)
    return None


def _receipted(case: Case) -> str | None:
    try:
        receipt = case.receipt
    except ValueError as error:
        return f"receipt.json is not what FORMAT.md section 5 says: {error}"
    if (receipt.episode, receipt.digest) != (case.manifest.episode, case.digest):
        expected = f"{case.manifest.episode} and {case.digest}"
        return f"expected a receipt for {expected}, got one for {receipt.episode} and {receipt.digest}"
    if receipt.hub != case.trust.hub:
        return f"expected the hub {case.trust.hub}, got {receipt.hub}"
    if receipt.trust is TrustClass.REPLAYED and not case.manifest.robot.simulated:
        return "the receipt says that the episode was replayed, and its robot is a real one"
    try:
        require_receipt_signed(receipt, case.trust.domain)
    except SignatureError as error:
        return str(error)
    return None


def _included(case: Case) -> str | None:
    try:
        receipt = case.receipt
        head = checkpoints.open_checkpoint(receipt.checkpoint, case.trust.log_key or "")
        leaf = merkle.leaf_hash(bytes.fromhex(case.digest[2:]))
        path = [bytes.fromhex(one[2:]) for one in receipt.inclusion]
        merkle.require_inclusion(leaf, receipt.log_index, head.size, path, head.root)
    except ValueError as error:  # CheckpointError, ProofError
        return str(error)
    if head.origin != receipt.log_origin:
        return f"expected the log {receipt.log_origin!r}, got {head.origin!r}"
    return None


def _ticket(case: Case) -> Ticket | None:
    return case.trust.books.ticket if case.trust.books else None


def _wants_books(case: Case) -> bool:
    return case.trust.books is not None


def _wants_asked(case: Case) -> bool:
    ticket = _ticket(case)
    return ticket is not None and ticket.asked is not None


def _wants_commands(case: Case) -> bool:
    return case.episode.meta.version > 1


def _wants_replay(case: Case) -> bool:
    return case.trust.replay is not None and case.manifest.robot.simulated


def _wants_receipt(case: Case) -> bool:
    return case.trust.hub is not None


def _wants_log(case: Case) -> bool:
    return case.trust.log_key is not None


DOCUMENT_GATES: Final = (
    Gate("files", no.BundleIncomplete, _complete),
    Gate("canonical", no.ManifestNotCanonical, _canonical),
    Gate("schema", no.ManifestInvalid, _schema),
    Gate("file", no.FileHashMismatch, _file),
    Gate("grant", no.GrantInvalid, _grant),
    Gate("robot_signature", no.RobotSignatureInvalid, _robot_signed),
    Gate("operator_signature", no.OperatorSignatureInvalid, _operator_signed),
    Gate("known", no.UnknownEpisode, _asked_for, _wants_books),
    Gate("ticket", no.TicketMismatch, _ticket_agrees, _wants_books),
    Gate("nonce", no.NonceMismatch, _nonce, _wants_books),
    Gate("previous", no.PreviousForked, _one_chain, _wants_books),
)
"""What is checked before the file is opened."""
FILE_GATES: Final = (
    Gate("structure", no.EpisodeStructureInvalid, _structure),
    Gate("agrees", no.ManifestDisagrees, _agrees),
    Gate("content", no.ContentRootMismatch, _content),
    Gate("commands", no.CommandsMismatch, _commanded, _wants_commands),
    Gate("safety", no.SafetyMismatch, _safe, _wants_commands),
    Gate("spec", no.SpecMismatch, _spec, _wants_asked),
    Gate("time", no.TimeMismatch, _timely, _wants_asked),
    Gate("duplicate", no.DuplicateEpisode, _first, _wants_books),
    Gate("success", no.SuccessMismatch, _succeeded),
    Gate("end", no.EndMismatch, _ended),
    Gate("motion", no.MotionInvalid, _moved),
    Gate("pictures", no.PicturesInvalid, _seen),
    Gate("replay", no.ReplayMismatch, _replayed, _wants_replay),
    Gate("copy", no.CopiedMotion, _own_motion, _wants_books),
    Gate("receipt", no.ReceiptInvalid, _receipted, _wants_receipt),
    Gate("inclusion", no.InclusionInvalid, _included, _wants_log),
)
GATES: Final = DOCUMENT_GATES + FILE_GATES
SEAL_GATES: Final = ("canonical", "schema", "robot_signature", "known", "ticket", "nonce", "end")
"""What a hub checks as soon as a host seals; the rest waits for the operator's signature."""
