"""The way of an episode through the hub, over real sockets: upload, seal, signature, receipt, log."""

from __future__ import annotations

import base64
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from recorder.file.episode import Episode
from recorder.proof.bundle import MANIFEST_FILE, SIGNATURES_FILE, Signatures
from recorder.proof.case import Trust
from recorder.proof.log import merkle
from recorder.proof.log.checkpoint import open_checkpoint
from recorder.proof.verify import verify_bundle
from sim.physics.replay import ReplayMismatchError
from tests.recorder.bundles import LOG_KEY, TRUST, sealed_bundle, sign_as_operator
from tests.recorder.factory import DOMAIN, HUB, MALLORY, ROBOT, SESSION, WALLET
from tests.recorder.served import OWNER, Hub, as_host, bearer, code


def create(web: httpx.Client, episode: str, length: int, robot: str = ROBOT.address) -> httpx.Response:
    named = base64.b64encode(episode.encode()).decode()
    extra = {"Upload-Length": str(length), "Upload-Metadata": f"filename eA==,episode {named}"}
    return web.post("/api/uploads", headers=as_host(robot) | extra)


def append(web: httpx.Client, location: str, offset: int, data: bytes) -> httpx.Response:
    extra = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return web.patch(location, headers=as_host(ROBOT.address) | extra, content=data)


def upload(web: httpx.Client, bundle: Path) -> str:
    data = (bundle / "episode.h5").read_bytes()
    location = create(web, bundle.name, len(data)).headers["Location"]
    assert append(web, location, 0, data).status_code == 204
    return location


def seal(web: httpx.Client, bundle: Path, location: str, **changes: Any) -> httpx.Response:
    signatures = msgspec.json.decode((bundle / SIGNATURES_FILE).read_bytes(), type=Signatures)
    body = {
        "manifest": (bundle / MANIFEST_FILE).read_text(),
        "robot_signature": signatures.robot,
        "upload": location.rpartition("/")[2],
    }
    return web.post(f"/api/episodes/{bundle.name}/seal", headers=as_host(ROBOT.address), json=body | changes)


def sign(
    web: httpx.Client, bundle: Path, *, operator: str = WALLET.address, signature: str | None = None
) -> httpx.Response:
    made = signature or sign_as_operator((bundle / MANIFEST_FILE).read_bytes(), SESSION, DOMAIN)
    path = f"/api/episodes/{bundle.name}/signature"
    return web.post(path, headers=bearer(operator), json={"signature": made})


def handed_in(web: httpx.Client, hub: Hub, folder: Path, **kwargs: Any) -> Path:
    """Record, seal, upload and seal at the hub."""
    bundle = sealed_bundle(folder, **kwargs)
    hub.begin(bundle.name)
    answer = seal(web, bundle, upload(web, bundle))
    assert answer.status_code == 202, answer.text
    return bundle


def test_an_episode_is_uploaded_sealed_signed_and_can_be_verified_by_a_stranger(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    assert web.get(f"/api/episodes/{bundle.name}").json()["state"] == "uploaded"
    manifest = web.get(f"/api/episodes/{bundle.name}/manifest").content
    assert manifest == (bundle / MANIFEST_FILE).read_bytes()

    answer = sign(web, bundle)

    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["state"], shown["receipt"]["log_index"], shown["steps"]) == ("verified", 0, 40)
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for name in ("episode.h5", "manifest.json", "signatures.json", "receipt.json"):
        (fetched / name).write_bytes(web.get(f"/api/episodes/{bundle.name}/files/{name}").content)
    assert verify_bundle(fetched, TRUST).digest == shown["digest"]


def test_what_is_not_verified_is_given_to_its_operator_and_its_robots_owner_only(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    """Whoever got it could hand it in first as their own, and its author would be the one who is refused."""
    bundle = handed_in(web, hub, tmp_path)
    files = [f"/api/episodes/{bundle.name}/files/{name}" for name in ("episode.h5", "manifest.json", "signatures.json")]

    for file in files:
        assert code(web.get(file)) == (401, "auth")
        assert code(web.get(file, headers=bearer(MALLORY.address))) == (403, "episode_private")
        for concerned in (WALLET, OWNER):
            assert web.get(file, headers=bearer(concerned.address)).status_code == 200
    sign(web, bundle)
    assert [web.get(file).status_code for file in files] == [200, 200, 200]


def test_the_same_signature_twice_gives_the_same_receipt_and_one_entry(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path)

    with ThreadPoolExecutor(4) as several:
        answers = [several.submit(sign, web, bundle) for _ in range(4)]
        shown = [one.result().json() for one in answers]

    assert all(one == shown[0] for one in shown)
    assert web.get("/api/log/checkpoint").text.splitlines()[1] == "1"


def test_the_log_proves_each_entry_and_its_own_growth(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    digests, previous = [], "0x" + 64 * "0"
    for number in range(3):
        bundle = handed_in(web, hub, tmp_path, episode=f"episode-{number}", reach=0.5 + 0.1 * number, previous=previous)
        previous = sign(web, bundle).json()["digest"]
        digests.append(previous)
        if number == 0:
            first = open_checkpoint(web.get("/api/log/checkpoint").text, LOG_KEY.verifier)

    head = open_checkpoint(web.get("/api/log/checkpoint").text, LOG_KEY.verifier)
    for index, digest in enumerate(digests):
        proof = web.get(f"/api/log/proof/{index}").json()
        leaf = merkle.leaf_hash(bytes.fromhex(digest[2:]))
        path = [bytes.fromhex(one[2:]) for one in proof["hashes"]]
        assert proof["leaf"] == "0x" + leaf.hex()
        merkle.require_inclusion(leaf, index, head.size, path, head.root)
    grown = web.get("/api/log/consistency/1").json()
    path = [bytes.fromhex(one[2:]) for one in grown["hashes"]]
    merkle.require_consistency(1, head.size, path, first.root, head.root)
    assert code(web.get("/api/log/proof/3")) == (404, "log_index")


def test_a_cut_connection_keeps_what_arrived_and_the_upload_goes_on(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = sealed_bundle(tmp_path, steps=400)
    hub.begin(bundle.name)
    data = (bundle / "episode.h5").read_bytes()
    location = create(web, bundle.name, len(data)).headers["Location"]
    writing = tmp_path / "hub" / "uploads" / location.rpartition("/")[2]

    with socket.create_connection((web.base_url.host, web.base_url.port)) as cut:
        cut.sendall(patch_of(location, len(data)) + data[:100_000])
    again = resumed(web, location, data)

    assert (again.status_code, again.headers["Upload-Offset"]) == (204, str(len(data)))
    assert writing.read_bytes() == data
    assert seal(web, bundle, location).status_code == 202


def resumed(web: httpx.Client, location: str, data: bytes) -> httpx.Response:
    """Continue from where the hub stands, as soon as it has noticed that the other connection is gone."""
    waiting = threading.Event()
    for _ in range(1000):
        offset = int(web.head(location, headers=as_host(ROBOT.address)).headers["Upload-Offset"])
        answer = append(web, location, offset, data[offset:]) if offset == 100_000 else None
        if answer is not None and answer.status_code not in (409, 423):
            return answer
        waiting.wait(0.01)
    raise AssertionError("the hub did not let the upload go on")


def test_a_connection_that_goes_silent_does_not_lock_its_upload(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", idle_s=0.2)
    hub.begin("episode-1")
    data = bytes(200_000)
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as web:
        location = create(web, "episode-1", len(data)).headers["Location"]
        with socket.create_connection((web.base_url.host, web.base_url.port)) as silent:
            silent.sendall(patch_of(location, len(data)) + data[:100_000])
            assert resumed(web, location, data).status_code == 204
            assert b"408" in silent.recv(1000)
    hub.close()


def patch_of(location: str, length: int) -> bytes:
    """Return the head of a PATCH from the beginning."""
    head = as_host(ROBOT.address, **{"Upload-Offset": "0", "Content-Length": str(length), "Host": "hub"})
    head["Content-Type"] = "application/offset+octet-stream"
    lines = "".join(f"{key}: {value}\r\n" for key, value in head.items())
    return f"PATCH {location} HTTP/1.1\r\n{lines}\r\n".encode()


def test_uploads_refuse_what_tus_says_they_must(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    hub.begin("episode-1")
    assert web.options("/api/uploads").headers["Tus-Extension"] == "creation"
    assert code(create(web, "episode-1", 5 << 30)) == (413, "upload_too_large")
    assert code(create(web, "episode-1", 0)) == (413, "upload_too_large")
    assert code(create(web, "episode-2", 10)) == (404, "unknown_episode")
    assert code(create(web, "episode-1", 10, robot=MALLORY.address)) == (404, "unknown_episode")
    location = create(web, "episode-1", 10).headers["Location"]

    assert code(append(web, location, 3, b"x")) == (409, "offset_mismatch")
    assert append(web, location, 0, b"12345").headers["Upload-Offset"] == "5"
    assert code(append(web, location, 0, b"x")) == (409, "offset_mismatch")
    assert code(append(web, location, 5, b"678901")) == (413, "upload_too_large")
    assert web.head(location, headers=as_host(ROBOT.address)).headers["Upload-Offset"] == "5"
    assert web.head(location, headers=as_host(MALLORY.address)).status_code == 404
    assert web.head(location, headers=as_host(ROBOT.address) | {"Tus-Resumable": "0.2"}).status_code == 412
    plain = web.patch(location, headers=as_host(ROBOT.address) | {"Upload-Offset": "5"}, content=b"x")
    assert code(plain) == (415, "media_type")
    nameless = web.post("/api/uploads", headers=as_host(ROBOT.address) | {"Upload-Length": "1"})
    assert code(nameless) == (400, "tus_header")
    assert code(web.post("/api/uploads", headers={"Tus-Resumable": "1.0.0"})) == (401, "auth")


def test_two_connections_never_write_to_one_upload(hub: Hub) -> None:
    hub.begin("episode-1")
    made = hub.uploads.create("episode-1", ROBOT.address, 10)
    writer = hub.uploads.write(made.upload, ROBOT.address, 0)
    with pytest.raises(Exception, match="being written"):
        hub.uploads.write(made.upload, ROBOT.address, 0)
    writer.close()
    hub.uploads.write(made.upload, ROBOT.address, 0).close()


def test_an_unfinished_upload_is_not_sealed(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    location = create(web, bundle.name, 1000).headers["Location"]

    assert code(seal(web, bundle, location)) == (409, "upload_incomplete")


def test_sealing_twice_answers_the_same_and_another_manifest_never_replaces_the_first(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path / "a")
    assert seal(web, bundle, "/gone").json()["state"] == "uploaded"

    other = sealed_bundle(tmp_path / "b", reach=0.3)
    assert code(seal(web, other, upload(web, other))) == (409, "episode_state")


def test_sealing_refuses_what_the_hub_did_not_ask_for(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    location = upload(web, bundle)

    assert code(seal(web, bundle, location, manifest="{}")) == (422, "ManifestInvalid")
    assert code(seal(web, bundle, location, manifest="{ }")) == (422, "ManifestNotCanonical")
    assert code(seal(web, bundle, location, robot_signature="0x00")) == (422, "RobotSignatureInvalid")
    hub.begin(bundle.name, seed=8)
    assert code(seal(web, bundle, location)) == (422, "TicketMismatch")
    del hub.door.tickets[bundle.name]
    assert code(seal(web, bundle, location)) == (422, "UnknownEpisode")


def test_only_the_operator_signs(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)

    assert code(sign(web, bundle, operator=MALLORY.address)) == (403, "not_the_operator")
    assert code(web.post(f"/api/episodes/{bundle.name}/signature", json={"signature": "0x"})) == (401, "auth")


@pytest.mark.parametrize("signature", ["0x", "0x" + 130 * "0", "0x" + 128 * "1" + "1b", "x" * 132])
def test_a_wrong_signature_is_refused_and_a_right_one_may_follow(
    tmp_path: Path, hub: Hub, web: httpx.Client, signature: str
) -> None:
    bundle = handed_in(web, hub, tmp_path)

    assert code(sign(web, bundle, signature=signature)) == (422, "OperatorSignatureInvalid")
    assert sign(web, bundle).json()["state"] == "verified"


def test_a_copy_under_another_name_is_refused_as_a_duplicate(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    sign(web, handed_in(web, hub, tmp_path / "a"))
    copy = handed_in(web, hub, tmp_path / "b", episode="episode-2")

    assert code(sign(web, copy)) == (422, "DuplicateEpisode")
    shown = web.get("/api/episodes/episode-2").json()
    assert shown["state"] == "rejected"
    assert shown["reason"].startswith("DuplicateEpisode: ")
    assert code(sign(web, copy)) == (409, "episode_state")


def test_two_episodes_that_continue_the_same_one_are_a_fork(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    first = handed_in(web, hub, tmp_path, episode="episode-0")
    previous = sign(web, first).json()["digest"]
    handed_in(web, hub, tmp_path, episode="episode-1", previous=previous, reach=0.5)
    fork = handed_in(web, hub, tmp_path, episode="episode-2", previous=previous, reach=0.6)

    assert code(sign(web, fork)) == (422, "PreviousForked")


def test_a_file_other_than_the_sealed_one_is_refused(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    data = bytearray((bundle / "episode.h5").read_bytes())
    data[-1] ^= 1
    location = create(web, bundle.name, len(data)).headers["Location"]
    append(web, location, 0, bytes(data))
    seal(web, bundle, location)

    assert code(sign(web, bundle)) == (422, "FileHashMismatch")


def test_an_invalid_episode_is_kept_with_its_reason_and_never_signed(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    from teleop.wire.reasons import EndReason

    bundle = handed_in(web, hub, tmp_path, reason=EndReason.HOST_LOST)

    shown = web.get(f"/api/episodes/{bundle.name}").json()
    assert (shown["state"], shown["valid"], shown["reason"]) == ("invalid", False, "host_lost")
    assert code(sign(web, bundle)) == (409, "episode_state")


def differs(episode: Episode) -> None:
    raise ReplayMismatchError(3, "cube_pose", 1.0, 2.0)


def test_a_simulation_that_replays_otherwise_is_rejected(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", replay=differs)
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as web:
        bundle = handed_in(web, hub, tmp_path)
        assert code(sign(web, bundle)) == (422, "ReplayMismatch")
    hub.close()


def test_a_discarded_episode_is_never_taken_in(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    location = upload(web, bundle)
    discard = f"/api/episodes/{bundle.name}/discard"

    assert code(web.post(discard, headers=bearer(MALLORY.address)))[0] in (403, 404)
    assert web.post(discard, headers=bearer(WALLET.address)).json()["state"] == "discarded"
    assert web.post(discard, headers=bearer(WALLET.address)).json()["state"] == "discarded"
    assert seal(web, bundle, location).json()["state"] == "discarded"
    assert list((tmp_path / "hub" / "uploads").iterdir()) == []
    assert code(sign(web, bundle)) == (409, "episode_state")
    assert code(web.get(f"/api/episodes/{bundle.name}/files/episode.h5"))[0] == 409


def test_a_verified_episode_cannot_be_discarded(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    sign(web, bundle)

    answer = web.post(f"/api/episodes/{bundle.name}/discard", headers=bearer(WALLET.address))
    assert code(answer) == (409, "episode_state")


def test_waiting_for_a_manifest_ends_when_the_host_seals(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    location = upload(web, bundle)

    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(web.get, f"/api/episodes/{bundle.name}/manifest?wait_s=20")
        seal(web, bundle, location)
        assert waiting.result(15).content == (bundle / MANIFEST_FILE).read_bytes()
    assert code(web.get("/api/episodes/nothing/manifest?wait_s=0.05")) == (404, "unknown_episode")
    assert web.get("/api/episodes/nothing/manifest?wait_s=1000").status_code == 422


def test_a_crash_between_the_log_and_the_files_is_healed(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    sign(web, bundle)
    (hub.store.folder(bundle.name) / "receipt.json").unlink()
    (hub.store.folder(bundle.name) / "signatures.json").unlink()

    web.get(f"/api/episodes/{bundle.name}/files/signatures.json")

    assert verify_bundle(hub.store.folder(bundle.name), TRUST).episode == bundle.name


def test_a_restarted_hub_still_has_everything(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    before = sign(web, bundle).json()

    again = Hub(tmp_path / "hub")
    with again.served() as url:
        assert httpx.get(f"{url}/api/episodes/{bundle.name}").json() == before | {"withdrawn_ms": None}
        assert httpx.get(f"{url}/api/log/checkpoint").text == web.get("/api/log/checkpoint").text
    again.close()
    assert before["receipt"]["hub"] == HUB.address
    assert Trust(DOMAIN).hub is None


@pytest.mark.parametrize("name", ["../hub.sqlite", "..%2f..%2fhub.sqlite", "secrets.txt"])
def test_no_file_outside_a_bundle_is_given_out(tmp_path: Path, hub: Hub, web: httpx.Client, name: str) -> None:
    bundle = handed_in(web, hub, tmp_path)

    assert web.get(f"/api/episodes/{bundle.name}/files/{name}").status_code == 404
    assert web.get(f"/api/episodes/..%2f..%2fx/files/{name}").status_code == 404


def test_only_a_robot_that_is_online_may_send_more_than_a_small_body(web: httpx.Client) -> None:
    manifest = {"manifest": "x" * (1 << 20), "robot_signature": "0x", "upload": "none"}
    host = {"Authorization": f"Bearer {ROBOT.address}"}

    assert code(web.post("/api/episodes/e/seal", json=manifest)) == (413, "body_too_large")
    assert web.post("/api/episodes/e/seal", json=manifest, headers=host).status_code == 422
    longer = {**manifest, "manifest": "x" * (3 << 20)}
    assert code(web.post("/api/episodes/e/seal", json=longer, headers=host)) == (413, "body_too_large")
    assert code(web.post("/api/episodes/e/discard", json=manifest, headers=host)) == (413, "body_too_large")


def test_uploads_that_came_to_nothing_leave_nothing(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    hub.begin("episode-1")
    hub.begin("episode-2")
    create(web, "episode-1", 10)
    first = hub.uploads.create("episode-2", ROBOT.address, 10)
    second = hub.uploads.create("episode-2", ROBOT.address, 10)
    assert not (tmp_path / "hub" / "uploads" / first.upload).exists()
    hub.uploads.forget(second.upload, MALLORY.address)
    assert (tmp_path / "hub" / "uploads" / second.upload).exists()

    assert sorted(hub.uploads.expire(before_ms=1 << 60)) == ["episode-1", "episode-2"]
    assert list((tmp_path / "hub" / "uploads").iterdir()) == []
    assert hub.uploads.expire(before_ms=1 << 60) == []


def test_a_malformed_request_is_answered_in_the_shape_of_an_error(web: httpx.Client) -> None:
    assert code(web.post("/api/episodes/e/seal", json={"manifest": 1})) == (422, "invalid")
    assert code(web.get("/api/episodes/e/manifest?wait_s=99")) == (422, "invalid")
    assert code(web.get("/api/episodes/unknown")) == (404, "unknown_episode")
