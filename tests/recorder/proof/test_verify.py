"""An adversary changes one thing at a time, signs again whatever could be signed, and meets one gate by name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.file.apart import Reader, ReaderLostError
from recorder.file.episode import Episode, UnreadableFileError
from recorder.proof import manifest as manifests
from recorder.proof import refusals
from recorder.proof.asked import Asked
from recorder.proof.bundle import Bundle, Receipt, Signatures, read_bundle
from recorder.proof.case import Books, Ticket, Trust
from recorder.proof.checks.copies import Twin
from recorder.proof.gates import GATES
from recorder.proof.manifest import NO_PREVIOUS
from recorder.proof.refusals import GateError
from recorder.proof.replayed import DescriptionMismatchError, TaskMismatchError
from recorder.proof.unable import UnableError
from recorder.proof.verify import verify, verify_bundle
from sim.catalogue import UnknownRobotError, UnknownTaskError
from sim.physics.engine import EngineMismatchError
from sim.physics.replay import ReplayMismatchError
from sim.robot import ActionShapeError, UnstableWorldError
from teleop.identity import SESSION_GRANT
from teleop.wire.descriptor import describe
from tests.recorder.bundles import LOG_KEY, TRUST, Adversary, good_bundle, receipt, sealed_bundle, signed, with_parts
from tests.recorder.factory import DOMAIN, HUB, MALLORY, ROBOT, SESSION, STARTED_NS, WALLET, fake_grant, fake_spec

OTHER = "0x" + 64 * "7"
STARTED_MS = STARTED_NS // 1_000_000
ASKED = Asked("fake_arm", True, describe("fake-1", fake_spec()), *fake_grant(), STARTED_MS - 500)
RECEIVED_MS = STARTED_MS + 2_500
TICKET = Ticket(
    "episode-1",
    ROBOT.address,
    WALLET.address,
    "lift",
    7,
    "0x" + hashlib.sha256(b"nonce of episode-1").hexdigest(),
    ASKED,
)
HUBS = dataclasses.replace(TRUST, books=Books(TICKET, None, None, RECEIVED_MS), replay=lambda episode: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def adversary(folder: Path) -> Adversary:
    return Adversary.of(folder)


def refused_by(bundle: Bundle, trust: Trust = HUBS) -> type[GateError]:
    with pytest.raises(GateError) as refused:
        verify(bundle, trust)
    return type(refused.value)


def test_a_good_bundle_passes_every_gate(folder: Path) -> None:
    report = verify_bundle(folder, HUBS)

    assert report.passed == tuple(gate.name for gate in GATES)
    assert report.skipped == ()
    assert report.episode == "episode-1"


def test_a_stranger_needs_only_two_public_keys_and_is_told_what_was_not_asked(folder: Path) -> None:
    report = verify_bundle(folder, TRUST)

    assert report.skipped == ("known", "ticket", "nonce", "previous", "spec", "time", "duplicate", "replay", "copy")
    assert {"receipt", "inclusion", "motion", "operator_signature"} <= set(report.passed)


def test_each_gate_has_one_error_of_its_own() -> None:
    errors = [gate.error for gate in GATES]

    assert len(set(errors)) == len(errors)
    assert {error.__name__ for error in errors} == {error.__name__ for error in GateError.__subclasses__()}


@pytest.mark.parametrize("part", ["manifest", "signatures", "receipt", "sha256"])
def test_a_missing_file_is_refused(adversary: Adversary, part: str) -> None:
    assert refused_by(with_parts(adversary.bundle, **{part: None})) is refusals.BundleIncomplete


def test_a_manifest_with_a_space_is_not_canonical(adversary: Adversary) -> None:
    data = (adversary.bundle.manifest or b"").replace(b":", b": ", 1)

    assert refused_by(with_parts(adversary.bundle, manifest=data)) is refusals.ManifestNotCanonical


LEFT_OUT = object()
SCHEMAS: list[dict[str, Any]] = [
    {"more": 1},
    {"steps": -1},
    {"version": 3},
    {"version": 0},
    {"content_root": "0x12"},
    {"version": 1},
    {"commands": LEFT_OUT},
    {"commands": None},
    {"commands": [{"epoch": 1, "seq": 2**32, "sha256": 64 * "0"}]},
    {"commands": [{"epoch": 1, "seq": 1, "sha256": "0x" + 62 * "0"}]},
]


@pytest.mark.parametrize("change", SCHEMAS)
def test_a_manifest_of_another_schema_is_invalid(adversary: Adversary, change: dict[str, Any]) -> None:
    said = json.loads(adversary.bundle.manifest or b"") | change
    data = manifests.canonical({name: value for name, value in said.items() if value is not LEFT_OUT})

    assert refused_by(with_parts(adversary.bundle, manifest=data)) is refusals.ManifestInvalid


def test_another_file_is_refused(adversary: Adversary) -> None:
    assert refused_by(with_parts(adversary.bundle, sha256=64 * "0")) is refusals.FileHashMismatch


def test_an_unreadable_episode_is_refused(adversary: Adversary) -> None:
    broken = with_parts(adversary.bundle, episode=UnreadableFileError("no HDF5"))

    assert refused_by(broken) is refusals.EpisodeStructureInvalid


CLAIMS: dict[str, Callable[[Adversary], dict[str, Any]]] = {
    "another id": lambda a: {"episode": "episode-2"},
    "more steps": lambda a: {"steps": 41},
    "success": lambda a: {"success": None},
    "valid": lambda a: {"valid": False},
    "a reason": lambda a: {"reason": "left"},
    "a seed": lambda a: {"seed": 8},
    "a nonce": lambda a: {"nonce": OTHER},
    "a rate": lambda a: {"control_hz": 50.0},
    "an engine": lambda a: {"engine": {"fake": "2"}},
    "a date": lambda a: {"started_ms": "1"},
    "an end": lambda a: {"ended_ms": "2"},
    "a task": lambda a: {"task": msgspec.structs.replace(a.manifest.task, version=2)},
    "an instruction": lambda a: {"task": msgspec.structs.replace(a.manifest.task, instruction="Do nothing.")},
    "a robot": lambda a: {"robot": msgspec.structs.replace(a.manifest.robot, name="another")},
    "a real robot": lambda a: {"robot": msgspec.structs.replace(a.manifest.robot, simulated=False)},
    "a URDF": lambda a: {"robot": msgspec.structs.replace(a.manifest.robot, urdf_sha256={})},
    "meta": lambda a: {"meta_sha256": 64 * "0"},
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_whatever_the_manifest_claims_beyond_the_file_is_refused_though_both_signed_it(
    adversary: Adversary, claim: str
) -> None:
    bundle = adversary.say(**CLAIMS[claim](adversary))

    assert refused_by(bundle, TRUST) is refusals.ManifestDisagrees


NAMES: dict[str, Callable[[Adversary], dict[str, Any]]] = {
    "a grant that had ended": lambda a: {"ended_ms": "99999999999999"},
    "another task": lambda a: {"task": msgspec.structs.replace(a.manifest.task, name="stack")},
    "another robot": lambda a: {"robot": msgspec.structs.replace(a.manifest.robot, address=MALLORY.address)},
    "another operator": lambda a: {"operator": msgspec.structs.replace(a.manifest.operator, address=MALLORY.address)},
}


@pytest.mark.parametrize("claim", NAMES)
def test_a_manifest_of_what_the_wallet_did_not_grant_is_refused_before_the_file_is_opened(
    adversary: Adversary, claim: str
) -> None:
    bundle = dataclasses.replace(adversary.say(**NAMES[claim](adversary)), episode=None)

    assert refused_by(bundle, TRUST) is refusals.GrantInvalid


def test_another_content_root_is_refused_though_both_signed_it(adversary: Adversary) -> None:
    assert refused_by(adversary.say(content_root=OTHER)) is refusals.ContentRootMismatch


def reclaimed(adversary: Adversary, grant: tuple[dict[str, Any], str]) -> Bundle:
    """Return the bundle with another grant in the file and in the manifest, signed anew by both."""
    values, signature = grant
    meta = adversary.episode.meta
    kept = msgspec.structs.replace(
        meta.grant.values,
        operator=values["operator"],
        session_key=values["sessionKey"],
        robot=values["robot"],
        task=values["task"],
        not_after_ms=str(values["notAfterMs"]),
    )
    changed = msgspec.structs.replace(meta, grant=msgspec.structs.replace(meta.grant, values=kept, signature=signature))
    return remade(adversary, changed)


def remade(adversary: Adversary, meta: Any, arrays: dict[str, Any] | None = None) -> Bundle:
    """Return the bundle as if the file had had this meta and these arrays from the start, signed by both."""
    old = adversary.episode
    episode = Episode(meta, meta.encode(), meta.end, dict(old.arrays) | (arrays or {}))
    manifest = manifests.of_episode(
        episode,
        size=adversary.bundle.size or 0,
        sha256=adversary.bundle.sha256 or "",
        root=manifests.root_hex(episode),
        previous=NO_PREVIOUS,
        software="test",
    )
    data = manifest.encode()
    return with_parts(
        adversary.bundle,
        manifest=data,
        signatures=signed(data).encode(),
        receipt=receipt(data),
        episode=episode,
    )


GRANTS = {
    "another session key": fake_grant(session=MALLORY),
    "another robot": fake_grant(robot=MALLORY),
    "another task": fake_grant(task="stack"),
    "another wallet": fake_grant(wallet=MALLORY),
    "an earlier end": fake_grant(not_after_ms=1_750_000_000_001),
    "a forged signature": (fake_grant()[0], fake_grant(wallet=MALLORY)[1]),
    "no signature": (fake_grant()[0], "0x"),
}


@pytest.mark.parametrize("grant", GRANTS)
def test_what_the_wallet_did_not_grant_is_refused(adversary: Adversary, grant: str) -> None:
    assert refused_by(reclaimed(adversary, GRANTS[grant])) is refusals.GrantInvalid


def test_a_grant_of_another_chain_is_refused(adversary: Adversary) -> None:
    elsewhere = dataclasses.replace(DOMAIN, chain_id=1)
    values, _ = fake_grant()

    bundle = reclaimed(adversary, (values, SESSION_GRANT.sign(WALLET, elsewhere, values)))
    assert refused_by(bundle) is refusals.GrantInvalid


def test_another_robots_signature_is_refused(adversary: Adversary) -> None:
    forged = signed(adversary.bundle.manifest or b"", robot=MALLORY).encode()

    assert refused_by(with_parts(adversary.bundle, signatures=forged)) is refusals.RobotSignatureInvalid


def test_another_sessions_signature_is_refused(adversary: Adversary) -> None:
    forged = signed(adversary.bundle.manifest or b"", session=MALLORY).encode()

    assert refused_by(with_parts(adversary.bundle, signatures=forged)) is refusals.OperatorSignatureInvalid


def test_the_wallet_itself_does_not_sign_for_its_session_key(adversary: Adversary) -> None:
    forged = signed(adversary.bundle.manifest or b"", session=WALLET).encode()

    assert refused_by(with_parts(adversary.bundle, signatures=forged)) is refusals.OperatorSignatureInvalid


def test_an_episode_that_the_operator_has_not_signed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(refusals.OperatorSignatureInvalid, match="none yet"):
        verify_bundle(sealed_bundle(tmp_path), dataclasses.replace(HUBS, hub=None, log_key=None))


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"digest":"0x00"}'])
def test_malformed_signatures_are_refused(adversary: Adversary, data: bytes) -> None:
    assert refused_by(with_parts(adversary.bundle, signatures=data)) is refusals.RobotSignatureInvalid


def test_the_other_signature_that_the_same_key_could_have_made_is_refused(adversary: Adversary) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    good = msgspec.json.decode(adversary.bundle.signatures or b"", type=Signatures)
    s, v = int(good.robot[66:130], 16), good.robot[130:]
    mirrored = f"{good.robot[:66]}{order - s:064x}{'1c' if v == '1b' else '1b'}"
    bundle = with_parts(adversary.bundle, signatures=msgspec.structs.replace(good, robot=mirrored).encode())

    assert refused_by(bundle) is refusals.RobotSignatureInvalid


def test_signatures_of_another_manifest_are_refused(adversary: Adversary) -> None:
    bundle = adversary.say(software="another")
    mixed = with_parts(bundle, signatures=adversary.bundle.signatures)

    assert refused_by(mixed) is refusals.RobotSignatureInvalid


BOOKS = {
    "an episode that was never begun": (Books(None, None, None), refusals.UnknownEpisode),
    "another robot's": (
        Books(dataclasses.replace(TICKET, robot=MALLORY.address), None, None),
        refusals.TicketMismatch,
    ),
    "another operator's": (
        Books(dataclasses.replace(TICKET, operator=MALLORY.address), None, None),
        refusals.TicketMismatch,
    ),
    "another task's": (Books(dataclasses.replace(TICKET, task="stack"), None, None), refusals.TicketMismatch),
    "another seed's": (Books(dataclasses.replace(TICKET, seed=8), None, None), refusals.TicketMismatch),
    "another nonce": (Books(dataclasses.replace(TICKET, nonce=OTHER), None, None), refusals.NonceMismatch),
    "a copy": (Books(TICKET, "episode-0", None), refusals.DuplicateEpisode),
    "a fork": (Books(TICKET, None, "episode-0"), refusals.PreviousForked),
    "the same actions": (Books(TICKET, None, None, copied=Twin("episode-0", "", 0.0)), refusals.DuplicateEpisode),
    "nearly the same motion": (
        Books(TICKET, None, None, copied=Twin("episode-0", "hands", 0.001)),
        refusals.CopiedMotion,
    ),
}


@pytest.mark.parametrize("what", BOOKS)
def test_what_the_hub_did_not_ask_for_is_refused(adversary: Adversary, what: str) -> None:
    books, expected = BOOKS[what]

    assert refused_by(adversary.bundle, dataclasses.replace(HUBS, books=books)) is expected


def jump(arrays: dict[str, Any]) -> None:
    arrays["applied/joint_position"][20, 1] += 0.5


def beyond(arrays: dict[str, Any]) -> None:
    for name in ("applied/joint_position", "observation/joint_position"):
        arrays[name][10:, 0] = 2.6


def stand_still(arrays: dict[str, Any]) -> None:
    arrays["time/t_observed_mono_ns"][7] = arrays["time/t_observed_mono_ns"][6]


def sent_before_seen(arrays: dict[str, Any]) -> None:
    arrays["time/t_sent_mono_ns"][7] = arrays["time/t_observed_mono_ns"][7] - 1


def not_a_number(arrays: dict[str, Any]) -> None:
    arrays["observation/ee_pose"][3, 0] = np.nan


def open_wide(arrays: dict[str, Any]) -> None:
    arrays["applied/gripper"][0] = 1.01


def clamp_after_the_end(arrays: dict[str, Any]) -> None:
    arrays["limits"]["step"][0] = 40


MOTIONS = [jump, beyond, stand_still, sent_before_seen, not_a_number, open_wide, clamp_after_the_end]


@pytest.mark.parametrize("change", MOTIONS)
def test_a_motion_that_the_robot_cannot_have_made_is_refused(
    adversary: Adversary, change: Callable[[dict[str, Any]], None]
) -> None:
    arrays = {path: array.copy() for path, array in adversary.episode.arrays.items()}
    change(arrays)

    assert refused_by(remade(adversary, adversary.episode.meta, arrays)) is refusals.MotionInvalid


def test_a_target_may_always_return_to_where_the_arm_is_seen(adversary: Adversary) -> None:
    """A blocked arm lags its target; letting go of the target is not a jump."""
    arrays = {path: array.copy() for path, array in adversary.episode.arrays.items()}
    applied, seen = arrays["applied/joint_position"], arrays["observation/joint_position"]
    seen[5:], applied[5:], applied[20:] = seen[5], applied[4], seen[5]
    applied[5:20] = applied[4] + np.minimum(0.1 * np.arange(1, 16), 0.25)[:, None]

    verify(remade(adversary, adversary.episode.meta, arrays), HUBS)


def replaying(error: Exception) -> Trust:
    def fails(episode: Episode) -> None:
        raise error

    return dataclasses.replace(HUBS, replay=fails)


REFUTED = [
    ReplayMismatchError(3, "joint_position", 1.0, 2.0),
    UnstableWorldError("step 3: the world burst"),
    ActionShapeError("step 3: expected finite numbers"),
]


@pytest.mark.parametrize("error", REFUTED, ids=repr)
def test_a_simulation_that_gives_other_states_is_refused(adversary: Adversary, error: Exception) -> None:
    with pytest.raises(refusals.ReplayMismatch, match="step 3"):
        verify(adversary.bundle, replaying(error))


UNABLE: list[tuple[Exception, str]] = [
    (EngineMismatchError("libm 1 (here 2)"), "EngineMismatch"),
    (DescriptionMismatchError("these differ: panda.urdf"), "DescriptionMismatch"),
    (TaskMismatchError("expected version 1, got 9"), "TaskMismatch"),
    (UnknownRobotError("pandora"), "UnknownRobot"),
    (UnknownTaskError("juggle"), "UnknownTask"),
    (MemoryError(), "OutOfMemory"),
    (ReaderLostError("it ended with -9"), "ReaderLost"),
    (ZeroDivisionError("nobody thought of this"), "VerifierBroke"),
]


@pytest.mark.parametrize(("error", "reason"), UNABLE, ids=[reason for _, reason in UNABLE])
def test_a_simulation_that_cannot_run_here_refuses_nothing_and_says_why(
    adversary: Adversary, error: Exception, reason: str
) -> None:
    with pytest.raises(UnableError) as unable:
        verify(adversary.bundle, replaying(error))
    assert unable.value.reason == reason
    assert str(error) in str(unable.value)


def test_a_simulated_episode_without_an_engine_is_refused(adversary: Adversary) -> None:
    bundle = remade(adversary, msgspec.structs.replace(adversary.episode.meta, engine={}))

    assert refused_by(bundle) is refusals.ReplayMismatch


def test_too_little_memory_to_read_a_file_refuses_nothing(
    adversary: Adversary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Reader, path: Path, *, plain: bool = False) -> Episode:
        raise ReaderLostError("no process could be started: cannot allocate memory")

    monkeypatch.setattr(Reader, "read", gone)
    with pytest.raises(UnableError, match="ReaderLost"):
        verify(dataclasses.replace(adversary.bundle, episode=None), HUBS)


def test_the_file_is_not_opened_before_its_documents_have_passed(
    adversary: Adversary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: Reader, path: Path, *, plain: bool = False) -> Episode:
        raise AssertionError

    monkeypatch.setattr(Reader, "read", never)
    unread = dataclasses.replace(adversary.bundle, episode=None)
    forged = signed(adversary.bundle.manifest or b"", session=MALLORY).encode()
    unasked = dataclasses.replace(HUBS, books=Books(None, None, None))

    assert refused_by(with_parts(unread, sha256=64 * "0")) is refusals.FileHashMismatch
    assert refused_by(with_parts(unread, signatures=forged)) is refusals.OperatorSignatureInvalid
    assert refused_by(unread, unasked) is refusals.UnknownEpisode


@pytest.mark.parametrize("name", ["episode.h5", "manifest.json", "signatures.json", "receipt.json"])
@pytest.mark.parametrize("place", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_not_a_file_is_missing_and_hangs_nobody(
    folder: Path, tmp_path: Path, name: str, place: Callable[[Path], None]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(folder, bundle)
    (bundle / name).unlink()
    place(bundle / name)

    with pytest.raises(refusals.BundleIncomplete, match=f"not a regular file: {name};"):
        verify_bundle(bundle, TRUST)


def test_a_real_robots_episode_is_not_replayed(tmp_path: Path) -> None:
    def never(episode: Episode) -> None:
        raise AssertionError

    trust = dataclasses.replace(TRUST, replay=never)
    assert "replay" in verify_bundle(good_bundle(tmp_path, simulated=False), trust).skipped


def change_receipt(**changes: Any) -> Callable[[Adversary], bytes]:
    def change(adversary: Adversary) -> bytes:
        old = msgspec.json.decode(adversary.bundle.receipt or b"", type=Receipt)
        return msgspec.structs.replace(old, **changes).encode()

    return change


RECEIPTS = {
    "another hub's": lambda a: receipt(a.bundle.manifest or b"", hub=MALLORY),
    "a forged hub": change_receipt(hub=MALLORY.address),
    "an earlier time": change_receipt(received_ms="1"),
    "another place": change_receipt(log_index=3),
    "another log": change_receipt(log_origin="elsewhere"),
    "another digest": change_receipt(digest=OTHER),
    "another episode": change_receipt(episode="episode-2"),
    "another signature": change_receipt(signature="0x" + 130 * "1"),
    "no receipt at all": lambda a: b"{}",
}


@pytest.mark.parametrize("what", RECEIPTS)
def test_a_receipt_that_the_hub_did_not_give_is_refused(adversary: Adversary, what: str) -> None:
    bundle = with_parts(adversary.bundle, receipt=RECEIPTS[what](adversary))

    assert refused_by(bundle) is refusals.ReceiptInvalid


def other_checkpoint(adversary: Adversary) -> bytes:
    others = msgspec.json.decode(receipt(adversary.bundle.manifest or b"", leaves=6), type=Receipt)
    return change_receipt(checkpoint=others.checkpoint)(adversary)


INCLUSIONS = {
    "no path": change_receipt(inclusion=[]),
    "another path": change_receipt(inclusion=[OTHER, OTHER, OTHER]),
    "another tree": other_checkpoint,
    "no checkpoint": change_receipt(checkpoint=""),
}


@pytest.mark.parametrize("what", INCLUSIONS)
def test_an_episode_that_the_log_does_not_hold_is_refused(adversary: Adversary, what: str) -> None:
    bundle = with_parts(adversary.bundle, receipt=INCLUSIONS[what](adversary))

    assert refused_by(bundle) is refusals.InclusionInvalid


def test_a_checkpoint_of_an_unknown_log_is_refused(adversary: Adversary) -> None:
    trust = dataclasses.replace(HUBS, log_key=LOG_KEY.verifier.replace("armshare.test", "armshare.tent"))

    assert refused_by(adversary.bundle, trust) is refusals.InclusionInvalid


def test_another_vault_or_hub_is_refused(adversary: Adversary) -> None:
    elsewhere = dataclasses.replace(HUBS, domain=dataclasses.replace(DOMAIN, chain_id=1))
    assert refused_by(adversary.bundle, elsewhere) is refusals.GrantInvalid
    assert refused_by(adversary.bundle, dataclasses.replace(HUBS, hub=ROBOT.address)) is refusals.ReceiptInvalid
    assert SESSION.address != HUB.address


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_every_changed_byte_of_the_manifest_is_refused_by_name(adversary: Adversary, flip: int) -> None:
    data = adversary.bundle.manifest or b""
    for at in range(0, len(data), 3):
        changed = bytearray(data)
        changed[at] ^= flip
        assert issubclass(refused_by(with_parts(adversary.bundle, manifest=bytes(changed))), GateError)


@settings(max_examples=200, deadline=None)
@given(draw=st.data())
def test_whatever_is_cut_from_or_put_into_the_manifest_is_refused_by_name(
    adversary: Adversary, draw: st.DataObject
) -> None:
    data = adversary.bundle.manifest or b""
    at, cut = draw.draw(st.integers(0, len(data))), draw.draw(st.integers(0, 20))
    changed = data[:at] + draw.draw(st.binary(max_size=20)) + data[at + cut :]
    if changed != data:
        refused_by(with_parts(adversary.bundle, manifest=changed))


@settings(max_examples=200, deadline=None)
@given(draw=st.data())
def test_every_changed_byte_of_the_signatures_is_refused_by_name(adversary: Adversary, draw: st.DataObject) -> None:
    data = bytearray(adversary.bundle.signatures or b"")
    at, flip = draw.draw(st.integers(0, len(data) - 1)), draw.draw(st.integers(1, 255))
    data[at] ^= flip
    refused_by(with_parts(adversary.bundle, signatures=bytes(data)))


def test_reading_a_bundle_refuses_nothing_by_itself(tmp_path: Path) -> None:
    empty = read_bundle(tmp_path)

    assert refused_by(empty) is refusals.BundleIncomplete
    assert empty.episode is None


def test_refusals_travel_between_processes(adversary: Adversary) -> None:
    import pickle

    for gate in GATES:
        again = pickle.loads(pickle.dumps(gate.error("why")))  # our own bytes
        assert (type(again), str(again)) == (gate.error, "why")
