"""Gates at their bounds: the last grant that still holds, whose word a gate takes, and what it skips."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from recorder.file.episode import Episode, UnreadableFileError
from recorder.proof import manifest as manifests
from recorder.proof import refusals
from recorder.proof.bundle import Bundle, DomainMeta, Receipt, Signatures, TrustClass
from recorder.proof.case import Books, Trust
from recorder.proof.gates import GATES, SEAL_GATES
from recorder.proof.refusals import GateError
from recorder.proof.seal import sign_receipt
from recorder.proof.unable import UnableError
from recorder.proof.verify import require_gates, verify, verify_bundle
from sim.robot import UnstableWorldError
from tests.recorder.bundles import LOG_KEY, TRUST, Adversary, good_bundle, sealed_bundle, signed, with_parts
from tests.recorder.factory import DOMAIN, HUB, MALLORY, ROBOT, WALLET, fake_grant
from tests.recorder.proof.test_verify import HUBS, OTHER, TICKET, reclaimed

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def adversary(folder: Path) -> Adversary:
    return Adversary.of(folder)


def refusal(bundle: Bundle, trust: Trust = HUBS) -> GateError:
    with pytest.raises(GateError) as refused:
        verify(bundle, trust)
    return refused.value


def receipt_of(adversary: Adversary) -> Receipt:
    return msgspec.json.decode(adversary.bundle.receipt or b"", type=Receipt)


def signatures_of(adversary: Adversary) -> Signatures:
    return msgspec.json.decode(adversary.bundle.signatures or b"", type=Signatures)


def test_a_grant_may_end_with_the_millisecond_in_which_the_episode_ends(adversary: Adversary) -> None:
    ended_ms = int(adversary.manifest.ended_ms)
    verify(reclaimed(adversary, fake_grant(not_after_ms=ended_ms)), OF_ANY_LEASE)
    refused = refusal(reclaimed(adversary, fake_grant(not_after_ms=ended_ms - 1)))
    assert type(refused) is refusals.GrantInvalid
    assert f"the grant ended at {ended_ms - 1} ms, the episode at {ended_ms} ms" in str(refused)


@pytest.mark.parametrize("missing", [("manifest",), ("signatures", "receipt"), ("sha256", "manifest", "signatures")])
def test_a_bundle_that_lacks_files_is_told_all_of_them(adversary: Adversary, missing: tuple[str, ...]) -> None:
    names = {"sha256": "episode.h5", **{part: f"{part}.json" for part in ("manifest", "signatures", "receipt")}}
    refused = refusal(with_parts(adversary.bundle, **dict.fromkeys(missing)))
    assert type(refused) is refusals.BundleIncomplete
    assert f": {', '.join(sorted(names[part] for part in missing))};" in str(refused)


def test_a_file_of_another_size_is_another_file(adversary: Adversary) -> None:
    size = (adversary.bundle.size or 0) + 1
    refused = refusal(with_parts(adversary.bundle, size=size))
    assert type(refused) is refusals.FileHashMismatch
    assert f"got {size}, {adversary.bundle.sha256}" in str(refused)


@pytest.mark.parametrize("changes", [{"chain_id": 1}, {"vault": HUB.address}])
def test_signatures_that_name_another_domain_are_refused(adversary: Adversary, changes: dict[str, Any]) -> None:
    elsewhere = msgspec.structs.replace(DomainMeta(DOMAIN.chain_id, DOMAIN.vault), **changes)
    said = msgspec.structs.replace(signatures_of(adversary), domain=elsewhere)
    refused = refusal(with_parts(adversary.bundle, signatures=said.encode()))
    assert type(refused) is refusals.RobotSignatureInvalid
    assert str(refused).startswith("expected the domain")


def test_signatures_that_name_another_digest_are_refused(adversary: Adversary) -> None:
    said = msgspec.structs.replace(signatures_of(adversary), digest=OTHER)
    refused = refusal(with_parts(adversary.bundle, signatures=said.encode()))
    assert type(refused) is refusals.RobotSignatureInvalid
    assert OTHER in str(refused)


@pytest.mark.parametrize("who", ["robot", "operator"])
def test_of_the_two_signatures_that_a_key_can_make_only_the_lower_counts(adversary: Adversary, who: str) -> None:
    good = signatures_of(adversary)
    signature = getattr(good, who)
    s, v = int(signature[66:130], 16), signature[130:]
    assert s <= ORDER // 2
    mirrored = f"{signature[:66]}{ORDER - s:064x}{'1c' if v == '1b' else '1b'}"
    refused = refusal(
        with_parts(adversary.bundle, signatures=msgspec.structs.replace(good, **{who: mirrored}).encode())
    )
    expected = {"robot": refusals.RobotSignatureInvalid, "operator": refusals.OperatorSignatureInvalid}
    assert type(refused) is expected[who]
    assert "EIP-2" in str(refused)


def test_a_receipt_for_one_log_with_the_head_of_another_is_refused_though_the_hub_signed_it(
    adversary: Adversary,
) -> None:
    old = receipt_of(adversary)
    other = sign_receipt(
        HUB,
        DOMAIN,
        episode=old.episode,
        digest=old.digest,
        received_ms=int(old.received_ms),
        log_origin="elsewhere",
        log_index=old.log_index,
        checkpoint=old.checkpoint,
        inclusion=old.inclusion,
        trust=TrustClass.REPLAYED,
    )
    refused = refusal(with_parts(adversary.bundle, receipt=other.encode()))
    assert type(refused) is refusals.InclusionInvalid
    assert str(refused) == f"expected the log 'elsewhere', got {LOG_KEY.origin!r}"


SKIPPED = {
    "nothing but the domain": (Trust(DOMAIN), {"receipt", "inclusion", "replay"}),
    "the hub": (Trust(DOMAIN, hub=HUB.address), {"inclusion", "replay"}),
    "the log": (Trust(DOMAIN, log_key=LOG_KEY.verifier), {"receipt", "replay"}),
    "a simulator": (Trust(DOMAIN, replay=lambda episode: None), {"receipt", "inclusion"}),
}
BOOKS = {"known", "ticket", "nonce", "spec", "time", "duplicate", "previous", "copy"}
OF_ANY_LEASE = dataclasses.replace(HUBS, books=Books(dataclasses.replace(TICKET, asked=None), None, None))


@pytest.mark.parametrize("known", SKIPPED)
def test_what_a_verifier_does_not_know_is_skipped_and_nothing_else(folder: Path, known: str) -> None:
    trust, skipped = SKIPPED[known]
    report = verify_bundle(folder, trust)
    assert set(report.skipped) == skipped | BOOKS
    assert set(report.passed) == {gate.name for gate in GATES} - skipped - BOOKS


def test_a_receipt_is_needed_only_by_who_knows_the_hub(adversary: Adversary) -> None:
    bare = with_parts(adversary.bundle, receipt=None)
    verify(bare, dataclasses.replace(HUBS, hub=None, log_key=None))
    assert type(refusal(bare, dataclasses.replace(HUBS, log_key=None))) is refusals.BundleIncomplete


def test_whatever_breaks_in_a_replay_refuses_nothing_and_says_what_broke(adversary: Adversary) -> None:
    def breaks(episode: Episode) -> None:
        raise ZeroDivisionError(f"at {episode.meta.episode}")

    with pytest.raises(UnableError) as unable:
        verify(adversary.bundle, dataclasses.replace(HUBS, replay=breaks))
    assert unable.value.reason == "VerifierBroke"
    assert unable.value.says == "ZeroDivisionError: at episode-1"


def test_another_result_of_a_replay_is_a_refusal_that_says_where(adversary: Adversary) -> None:
    def differs(episode: Episode) -> None:
        raise UnstableWorldError(f"at {episode.meta.episode}")

    refused = refusal(adversary.bundle, dataclasses.replace(HUBS, replay=differs))
    assert type(refused) is refusals.ReplayMismatch
    assert str(refused) == "UnstableWorldError: at episode-1"


def test_a_hub_takes_a_sealed_bundle_without_the_operators_signature_and_only_what_it_asked_for(
    tmp_path: Path,
) -> None:
    bundle = Adversary.of(sealed_bundle(tmp_path)).bundle
    require_gates(bundle, HUBS, SEAL_GATES)
    for changes, error in (
        ({"episode": "episode-2"}, refusals.TicketMismatch),
        ({"nonce": OTHER}, refusals.NonceMismatch),
        ({"robot": HUB.address}, refusals.TicketMismatch),
        (None, refusals.UnknownEpisode),
    ):
        ticket = None if changes is None else dataclasses.replace(TICKET, **changes)
        assert HUBS.books is not None
        books = dataclasses.replace(HUBS.books, ticket=ticket)
        with pytest.raises(error):
            require_gates(bundle, dataclasses.replace(HUBS, books=books), SEAL_GATES)
    with pytest.raises(refusals.UnknownEpisode):
        require_gates(bundle, TRUST, SEAL_GATES)


def test_a_refusal_names_what_was_said_and_what_was_found(adversary: Adversary) -> None:
    assert HUBS.books is not None
    said = str(refusal(adversary.say(content_root=OTHER)))
    assert OTHER in said
    assert manifests.root_hex(adversary.episode) in said
    claims = str(refusal(adversary.say(seed=8), TRUST))
    assert claims == "seed: the file gives 7, the manifest 8"
    for books, words in (
        ({"twin": "episode-0"}, (adversary.manifest.content_root, "'episode-0'")),
        ({"rival": "episode-0"}, (adversary.manifest.previous, "'episode-0'")),
        ({"ticket": dataclasses.replace(TICKET, nonce=OTHER)}, (OTHER, adversary.manifest.nonce)),
        ({"ticket": dataclasses.replace(TICKET, task="stack")}, ("'stack'", "'lift'")),
        ({"ticket": None}, ("'episode-1'",)),
    ):
        trust = dataclasses.replace(HUBS, books=dataclasses.replace(HUBS.books, **books))
        said = str(refusal(adversary.bundle, trust))
        assert all(word in said for word in words), said
    stranger = str(refusal(adversary.bundle, dataclasses.replace(TRUST, hub=DOMAIN.vault)))
    assert stranger == f"expected the hub {DOMAIN.vault}, got {HUB.address}"


def test_a_signature_that_does_not_hold_is_said_in_a_sentence(adversary: Adversary) -> None:
    digest = signatures_of(adversary).digest
    cases = {
        refusals.GrantInvalid: reclaimed(adversary, (fake_grant()[0], fake_grant(wallet=MALLORY)[1])),
        refusals.RobotSignatureInvalid: with_parts(
            adversary.bundle, signatures=signed(adversary.bundle.manifest or b"", robot=MALLORY).encode()
        ),
        refusals.ReceiptInvalid: with_parts(
            adversary.bundle,
            receipt=msgspec.structs.replace(receipt_of(adversary), received_ms="1").encode(),
        ),
    }
    signers = {
        refusals.GrantInvalid: WALLET.address,
        refusals.RobotSignatureInvalid: ROBOT.address,
        refusals.ReceiptInvalid: HUB.address,
    }
    for error, bundle in cases.items():
        refused = refusal(bundle)
        assert type(refused) is error
        assert signers[error] in str(refused)
    unproven = refusal(
        with_parts(adversary.bundle, receipt=msgspec.structs.replace(receipt_of(adversary), inclusion=[]).encode())
    )
    assert str(unproven).startswith("expected the root ")
    unasked = refusal(
        with_parts(adversary.bundle, receipt=msgspec.structs.replace(receipt_of(adversary), episode="e-2").encode())
    )
    assert str(unasked) == f"expected a receipt for episode-1 and {digest}, got one for e-2 and {digest}"


@pytest.mark.parametrize(
    ("name", "grant"),
    [
        ("operator", fake_grant(wallet=MALLORY)),
        ("sessionKey", fake_grant(session=MALLORY)),
        ("robot", fake_grant(robot=MALLORY)),
        ("task", fake_grant(task="stack")),
    ],
)
def test_what_the_wallet_granted_otherwise_is_named(
    adversary: Adversary, name: str, grant: tuple[dict[str, Any], str]
) -> None:
    refused = refusal(reclaimed(adversary, grant))
    assert type(refused) is refusals.GrantInvalid
    assert str(refused).startswith(f"{name}: the episode has ")
    assert str(refused).endswith(f"the wallet granted {grant[0][name]!r}")


def test_what_cannot_be_read_is_said_with_what_is_wrong_about_it(adversary: Adversary) -> None:
    data = adversary.bundle.manifest or b""
    assert "byte" in str(refusal(with_parts(adversary.bundle, manifest=data + b" ")))
    other = manifests.canonical(msgspec.json.decode(data) | {"steps": -1})
    assert "steps" in str(refusal(with_parts(adversary.bundle, manifest=other)))
    broken = with_parts(adversary.bundle, episode=UnreadableFileError("no HDF5"))
    assert str(refusal(broken)) == "UnreadableFileError: no HDF5"
