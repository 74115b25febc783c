"""A receipt says what an episode rests on, and the hub signs that too; those of earlier releases did not say it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from armshare.researcher.checks import check, lines
from recorder.proof import refusals
from recorder.proof.bundle import RECEIPT_JSON, Receipt, TrustClass
from recorder.proof.manifest import OLD_RECEIPT
from recorder.proof.verify import verify
from tests.recorder.bundles import LOG_KEY, TRUST, Adversary, good_bundle, receipt, with_parts
from tests.recorder.factory import DOMAIN, HUB
from tests.recorder.proof.test_asked import with_meta
from tests.recorder.proof.test_verify import refused_by, remade


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def adversary(folder: Path) -> Adversary:
    return Adversary.of(folder)


def receipt_of(adversary: Adversary) -> Receipt:
    return RECEIPT_JSON.decode(adversary.bundle.receipt or b"")


def earlier(adversary: Adversary) -> Receipt:
    """Return the receipt that an earlier release gave: of another type, without the class of trust."""
    new = receipt_of(adversary)
    values = {
        "episodeDigest": bytes.fromhex(new.digest[2:]),
        "receivedMs": int(new.received_ms),
        "logOrigin": new.log_origin,
        "logIndex": new.log_index,
    }
    return msgspec.structs.replace(new, trust=msgspec.UNSET, signature=OLD_RECEIPT.sign(HUB, DOMAIN, values))


def test_a_receipt_says_what_the_episode_rests_on(adversary: Adversary) -> None:
    assert msgspec.json.decode(adversary.bundle.receipt or b"")["trust"] == "replayed"
    assert verify(adversary.bundle, TRUST).trust is TrustClass.REPLAYED
    real = remade(adversary, with_meta("robot", simulated=False)(adversary.episode.meta))
    assert verify(real, TRUST).trust is TrustClass.WITNESSED


def test_a_receipt_of_an_earlier_release_still_counts_and_says_nothing_of_trust(adversary: Adversary) -> None:
    old = with_parts(adversary.bundle, receipt=earlier(adversary).encode())

    assert b"trust" not in (old.receipt or b"")
    assert verify(old, TRUST).trust is None


@pytest.mark.parametrize(
    "changes",
    [
        {"trust": TrustClass.WITNESSED},
        {"trust": msgspec.UNSET},
    ],
)
def test_a_receipt_whose_class_was_changed_or_taken_out_is_not_the_hubs(
    adversary: Adversary, changes: dict[str, Any]
) -> None:
    changed = msgspec.structs.replace(receipt_of(adversary), **changes)

    assert refused_by(with_parts(adversary.bundle, receipt=changed.encode()), TRUST) is refusals.ReceiptInvalid


def test_a_class_is_not_added_to_a_receipt_of_an_earlier_release(adversary: Adversary) -> None:
    added = msgspec.structs.replace(earlier(adversary), trust=TrustClass.REPLAYED)

    assert refused_by(with_parts(adversary.bundle, receipt=added.encode()), TRUST) is refusals.ReceiptInvalid


@pytest.mark.parametrize("said", [b'"believed"', b"null", b"1"])
def test_a_class_that_is_none_is_no_receipt(adversary: Adversary, said: bytes) -> None:
    data = (adversary.bundle.receipt or b"").replace(b'"replayed"', said)

    assert refused_by(with_parts(adversary.bundle, receipt=data), TRUST) is refusals.ReceiptInvalid


def test_a_real_robots_episode_cannot_have_been_replayed_whoever_signs_it(adversary: Adversary) -> None:
    real = remade(adversary, with_meta("robot", simulated=False)(adversary.episode.meta))
    new = RECEIPT_JSON.decode(receipt(adversary.bundle.manifest or b""))
    forged = receipt_of(Adversary(real))
    signed = msgspec.structs.replace(forged, trust=new.trust)

    assert refused_by(with_parts(real, receipt=signed.encode()), TRUST) is refusals.ReceiptInvalid


def test_who_verifies_is_told_the_class_or_that_nobody_signed_one(folder: Path) -> None:
    config = {
        "chain_id": DOMAIN.chain_id,
        "vault": DOMAIN.vault,
        "hub": HUB.address,
        "log_public_key": LOG_KEY.verifier,
    }
    report = check(folder, config, replay=False, score=False)
    assert report["trust"] == "replayed"
    assert any("replayed: the hub signed that" in line for line in lines(report))

    unpinned = check(folder, None, replay=False, score=False)
    assert unpinned["trust"] is None
    assert not any("the hub signed" in line for line in lines(unpinned))


def test_what_was_not_checked_is_not_reported(adversary: Adversary) -> None:
    assert verify(adversary.bundle, dataclasses.replace(TRUST, hub=None)).trust is None
