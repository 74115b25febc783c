"""What a slow uplink shows of itself: how much of an episode has arrived, and what waits for a wallet's signature."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account.signers.local import LocalAccount

from recorder.proof.contribute import NotOurEpisodeError, sign_later
from recorder.proof.refusals import GrantInvalid
from recorder.proof.verify import verify_bundle
from teleop.identity import session_key
from teleop.wire.reasons import EndReason
from tests.recorder.bundles import TRUST, sealed_bundle, sign_as_operator
from tests.recorder.factory import DOMAIN, MALLORY, SESSION, WALLET, fake_grant
from tests.recorder.hub.test_api import append, create, handed_in, seal, sign, upload
from tests.recorder.served import Hub, bearer, code


def arrival(web: httpx.Client, episode: str, wait_s: float = 0.0) -> tuple[str, int, int | None]:
    said = web.get(f"/api/episodes/{episode}/arrival", params={"wait_s": wait_s}).json()
    return said["state"], said["received"], said["length"]


def unsigned(web: httpx.Client, wallet: str = WALLET.address) -> list[dict[str, Any]]:
    return list(web.get(f"/api/operators/{wallet}/unsigned").json())


def test_how_much_has_arrived_is_known_from_the_first_byte_on(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    data = (bundle / "episode.h5").read_bytes()
    assert code(web.get(f"/api/episodes/{bundle.name}/arrival")) == (404, "unknown_episode")
    hub.begin(bundle.name)
    assert arrival(web, bundle.name) == ("recording", 0, None)

    location = create(web, bundle.name, len(data)).headers["Location"]
    assert arrival(web, bundle.name) == ("recording", 0, len(data))
    append(web, location, 0, data[:1000])
    assert arrival(web, bundle.name) == ("recording", 1000, len(data))
    append(web, location, 1000, data[1000:])
    seal(web, bundle, location)
    assert arrival(web, bundle.name) == ("uploaded", len(data), len(data))


def test_whoever_waits_is_told_as_soon_as_all_of_it_is_there(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    location = upload(web, bundle)
    found: list[str] = []
    waiting = threading.Thread(target=lambda: found.append(arrival(web, bundle.name, wait_s=20.0)[0]))
    waiting.start()
    seal(web, bundle, location)
    waiting.join(20)
    assert found == ["uploaded"]


def test_what_waits_for_a_wallet_is_listed_from_the_first_byte_to_its_signature(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    assert unsigned(web) == []
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    data = (bundle / "episode.h5").read_bytes()
    location = create(web, bundle.name, len(data)).headers["Location"]
    append(web, location, 0, data[:1000])

    (coming,) = unsigned(web)
    assert (coming["episode"], coming["state"], coming["task"]) == (bundle.name, "recording", "lift")
    assert (coming["received"], coming["length"], coming["steps"]) == (1000, len(data), None)
    assert unsigned(web, MALLORY.address) == []
    assert code(sign(web, bundle)) == (404, "unknown_episode")

    append(web, location, 1000, data[1000:])
    seal(web, bundle, location)
    (waiting,) = unsigned(web)
    assert (waiting["state"], waiting["steps"], waiting["received"]) == ("uploaded", 40, len(data))

    assert sign(web, bundle).status_code == 200
    assert unsigned(web) == []


def test_what_is_discarded_is_listed_no_more_even_before_it_has_arrived(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    location = upload(web, bundle)
    assert code(web.post(f"/api/episodes/{bundle.name}/discard", headers=bearer(MALLORY.address)))[0] in (403, 404)
    assert len(unsigned(web)) == 1
    assert web.post(f"/api/episodes/{bundle.name}/discard", headers=bearer(WALLET.address)).status_code == 200
    assert unsigned(web) == []
    assert seal(web, bundle, location).json()["state"] == "discarded"


def test_an_upload_that_is_begun_again_is_listed_once(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    create(web, bundle.name, 5000)
    create(web, bundle.name, 6000)
    (one,) = unsigned(web)
    assert (one["received"], one["length"]) == (0, 6000)


def test_the_newest_is_listed_first_and_an_invalid_one_not_at_all(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    for name in ("a", "b"):
        handed_in(web, hub, tmp_path, episode=name)
    handed_in(web, hub, tmp_path, episode="c", reason=EndReason.LEFT)
    assert [one["episode"] for one in unsigned(web)] == ["b", "a"]


def test_a_wallet_that_is_none_is_said_to_be_none(web: httpx.Client) -> None:
    assert code(web.get("/api/operators/ada/unsigned")) == (422, "address")


def made_again() -> LocalAccount:
    """The session key that the wallet makes for the grants of these tests."""
    return session_key(WALLET, DOMAIN, fake_grant()[0]["nonce"])


def test_the_wallet_makes_its_session_key_again_and_a_stranger_can_check_what_it_signs(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path, session=made_again())
    data = web.get(f"/api/episodes/{bundle.name}/manifest").content
    signature = sign_later(data, bundle.name, WALLET, DOMAIN)
    assert signature == sign_as_operator(data, made_again(), DOMAIN), "the very signature of whoever drove"

    assert sign(web, bundle, signature=signature).json()["state"] == "verified"
    assert sign(web, bundle, signature=signature).json()["state"] == "verified", "twice is once"
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for name in ("episode.h5", "manifest.json", "signatures.json", "receipt.json"):
        (fetched / name).write_bytes(web.get(f"/api/episodes/{bundle.name}/files/{name}").content)
    assert "operator_signature" in verify_bundle(fetched, TRUST).passed


def test_the_wallets_own_signature_and_anybody_elses_count_as_little_as_ever(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path, session=made_again())
    data = (bundle / "manifest.json").read_bytes()
    for key in (WALLET, MALLORY, session_key(MALLORY, DOMAIN, fake_grant()[0]["nonce"])):
        forged = sign_as_operator(data, key, DOMAIN)
        assert code(sign(web, bundle, signature=forged)) == (422, "OperatorSignatureInvalid")
    assert arrival(web, bundle.name)[0] == "uploaded", "a wrong signature decides nothing"


def test_a_wallet_signs_later_only_what_it_granted_and_was_asked_for(tmp_path: Path) -> None:
    ours = sealed_bundle(tmp_path / "a", session=made_again())
    theirs = sealed_bundle(tmp_path / "b", wallet=MALLORY)
    data = (ours / "manifest.json").read_bytes()
    with pytest.raises(NotOurEpisodeError, match="another"):
        sign_later(data, "another", WALLET, DOMAIN)
    with pytest.raises(NotOurEpisodeError, match=MALLORY.address):
        sign_later((theirs / "manifest.json").read_bytes(), ours.name, WALLET, DOMAIN)
    with pytest.raises(GrantInvalid):
        sign_later(data.replace(made_again().address.encode(), MALLORY.address.encode(), 1), ours.name, WALLET, DOMAIN)


def test_a_session_key_that_the_wallet_does_not_make_is_not_signed_for(tmp_path: Path) -> None:
    bundle = sealed_bundle(tmp_path, session=SESSION)
    with pytest.raises(NotOurEpisodeError, match="does not make again"):
        sign_later((bundle / "manifest.json").read_bytes(), bundle.name, WALLET, DOMAIN)
