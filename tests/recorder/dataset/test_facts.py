"""What is said of an episode to choose by: what whoever hands a folder on can change is not said as if it were so."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785

from recorder.dataset import EpisodeDataset, HubKeysError, UnreadableBundleError, facts_of
from recorder.proof import manifest as manifests
from recorder.proof.bundle import RECEIPT_JSON, SIGNATURES_JSON, TrustClass
from teleop.identity import Domain
from tests.recorder.bundles import LOG_KEY, TRUST, good_bundle, receipt, record, signed
from tests.recorder.factory import DOMAIN, HUB, MALLORY, fake_episode


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return good_bundle(tmp_path, episode="mine", steps=12)


def keys(folder: Path, **changed: Any) -> Path:
    """Return a hub's keys as a researcher saves them."""
    said = {"chain_id": DOMAIN.chain_id, "vault": DOMAIN.vault, "hub": HUB.address, "log_public_key": LOG_KEY.verifier}
    (folder / "hub.json").write_text(json.dumps(said | changed))
    return folder / "hub.json"


def changed(bundle: Path, **said: object) -> None:
    """Change what a manifest says, and the digest beside it, as anyone can."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    data = rfc8785.dumps(manifest | said)
    digest = manifests.digest(manifests.decode(data), data, DOMAIN)
    signatures = SIGNATURES_JSON.decode((bundle / "signatures.json").read_bytes())
    told = RECEIPT_JSON.decode((bundle / "receipt.json").read_bytes())
    (bundle / "manifest.json").write_bytes(data)
    (bundle / "signatures.json").write_bytes(msgspec.structs.replace(signatures, digest=digest).encode())
    (bundle / "receipt.json").write_bytes(msgspec.structs.replace(told, digest=digest).encode())


def test_no_trust_is_told_unless_a_hub_is_named(bundle: Path) -> None:
    assert facts_of(bundle)["trust"] == ""
    assert EpisodeDataset([bundle], action="joint_position").episodes[0].facts["trust"] == ""


def test_the_trust_of_the_hub_that_is_named_is_told(bundle: Path, tmp_path: Path) -> None:
    file = keys(tmp_path)
    for hub in (TRUST, file, str(file), dataclasses.replace(TRUST, log_key=None)):
        assert facts_of(bundle, hub)["trust"] == "replayed"


def test_a_receipt_that_anyone_signed_gives_no_trust(bundle: Path) -> None:
    data = (bundle / "manifest.json").read_bytes()
    (bundle / "receipt.json").write_bytes(receipt(data, hub=MALLORY, trust=TrustClass.REPLAYED))
    assert facts_of(bundle, TRUST)["trust"] == ""
    assert facts_of(bundle, dataclasses.replace(TRUST, hub=MALLORY.address))["trust"] == "replayed"


def test_a_receipt_that_was_changed_gives_no_trust(bundle: Path) -> None:
    told = RECEIPT_JSON.decode((bundle / "receipt.json").read_bytes())
    (bundle / "receipt.json").write_bytes(msgspec.structs.replace(told, trust=TrustClass.WITNESSED).encode())
    assert facts_of(bundle, TRUST)["trust"] == ""


@pytest.mark.parametrize("who", ["robot", "session"])
def test_an_episode_that_another_key_signed_has_no_trust(bundle: Path, who: str) -> None:
    data = (bundle / "manifest.json").read_bytes()
    (bundle / "signatures.json").write_bytes(signed(data, **{who: MALLORY}).encode())
    assert facts_of(bundle, TRUST)["trust"] == ""


def test_a_hub_of_another_chain_gives_no_trust(bundle: Path) -> None:
    assert facts_of(bundle, dataclasses.replace(TRUST, domain=Domain(1, DOMAIN.vault)))["trust"] == ""


def test_a_manifest_that_was_changed_after_it_was_signed_is_not_vouched_for(bundle: Path) -> None:
    changed(bundle, seed=12345)
    facts = facts_of(bundle, TRUST)
    assert (facts["seed"], facts["trust"]) == (12345, "")


@pytest.mark.parametrize(
    "said", [{"seed": 12345}, {"steps": 7}, {"success": False}, {"operator": {"address": MALLORY.address}}]
)
def test_what_was_chosen_by_is_compared_with_the_file(bundle: Path, said: dict[str, Any]) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    changed(bundle, **{name: manifest[name] | of if isinstance(of, dict) else of for name, of in said.items()})
    data = EpisodeDataset([bundle], action="joint_position")
    with pytest.raises(UnreadableBundleError, match="are not of one episode"):
        data[0]


def test_a_manifest_beside_the_signatures_of_another_is_not_read(bundle: Path) -> None:
    data = (bundle / "manifest.json").read_bytes()
    (bundle / "manifest.json").write_bytes(rfc8785.dumps(json.loads(data) | {"seed": 12345}))
    with pytest.raises(UnreadableBundleError, match=r"manifest.json and signatures.json are not of one episode"):
        facts_of(bundle)


def test_a_file_that_a_hub_vouches_for_is_the_one_that_it_verified(bundle: Path, tmp_path: Path) -> None:
    start, steps, end = fake_episode(episode="mine", steps=12)
    steps[3] = dataclasses.replace(steps[3], t_sent_ns=steps[3].t_sent_ns + 1)
    (tmp_path / "another").mkdir()
    record(tmp_path / "another", (start, steps, end)).replace(bundle / "episode.h5")
    assert len(EpisodeDataset([bundle], action="joint_position")[0]) > 3, "it is taken as it is"
    with pytest.raises(UnreadableBundleError, match=r"episode.h5 is not the file that was verified"):
        EpisodeDataset([bundle], action="joint_position", hub=TRUST)[0]


def test_what_nobody_signed_is_told_as_unverified_and_never_under_the_name_of_another_fact(bundle: Path) -> None:
    said = {"score": 1.0, "trust": "replayed", "success": False, "vector": {"smoothness": 1.0, "seed": 7}}
    before = facts_of(bundle)
    (bundle / "score.json").write_text(json.dumps(said))
    facts = facts_of(bundle)
    assert facts | before == facts
    assert facts.keys() - before.keys() == {
        f"unverified_{name}" for name in ("score", "trust", "success", "smoothness", "seed")
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"hub": "0x0"}'])
def test_keys_that_are_none_are_refused_with_what_to_do(bundle: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "hub.json").write_text(text)
    with pytest.raises(HubKeysError, match="curl -s URL/api/config"):
        facts_of(bundle, tmp_path / "hub.json")
