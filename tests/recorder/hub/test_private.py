"""Promises of a private episode at a hub: only noise in its store, and its recording for those who may read it."""

from __future__ import annotations

import hashlib
import pickle
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, select, update

from recorder.file.sealed import Sealed, bound_to
from recorder.hub.erasing import Erasing
from recorder.hub.store.bundles import stored_bundle
from recorder.hub.store.objects import Objects
from recorder.hub.store.sealing import SealingStore, rotate_keys
from recorder.hub.store.store import StoreLostError
from recorder.hub.tables import EpisodeRow, KeyRow
from teleop.hub.tables import RobotReaderRow, RobotRow
from tests.recorder.bundles import sealed_bundle
from tests.recorder.factory import MALLORY, ROBOT, WALLET, fixed_key
from tests.recorder.hub.test_api import seal, sign, upload
from tests.recorder.served import OWNER, Hub, bearer, code

READER = fixed_key("a reader").address
BOTH = pytest.mark.parametrize("hub", ["folder", "bucket"], indirect=True)


@pytest.fixture(params=["folder"])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hub]:
    objects = Objects.in_memory() if request.param == "bucket" else None
    made = Hub(tmp_path / "hub", objects=objects, private=True)
    robot = {"name": "r", "model": "fake", "simulated": True, "signature": "0x", "private": True}
    with made.database() as db, db.begin():
        db.add(RobotRow(address=ROBOT.address, owner=OWNER.address, created_ms=1, **robot))
        db.flush()
        db.add(RobotReaderRow(robot=ROBOT.address, wallet=READER, added_ms=1))
    yield made
    made.close()


def handed_in(web: httpx.Client, hub: Hub, folder: Path, *, signed: bool = True, **kwargs: object) -> Path:
    """Hand in a private episode."""
    bundle = sealed_bundle(folder, **kwargs)  # type: ignore[arg-type]  # the factory's own
    hub.begin(bundle.name, private=True)
    answer = seal(web, bundle, upload(web, bundle))
    assert answer.status_code == 202, answer.text
    if signed:
        assert sign(web, bundle).json()["state"] == "verified"
    return bundle


def stored(hub: Hub) -> list[bytes]:
    """Return all bytes that an outsider finds who reads the store."""
    inner = hub.store.store
    if hasattr(inner, "root"):
        return [path.read_bytes() for path in inner.root.rglob("*") if path.is_file()]
    keys = list(inner.objects.keys("objects/")) + list(inner.objects.keys("uploads/"))
    return [inner.objects.read(key, 0, inner.objects.size(key)) for key in keys]


def revoke(hub: Hub) -> None:
    with hub.database() as db, db.begin():
        db.execute(delete(RobotReaderRow))


@BOTH
def test_the_store_holds_noise_and_the_hub_still_verifies_it(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path, steps=400)
    plain = (bundle / "episode.h5").read_bytes()
    pieces = [plain[at : at + 32] for at in range(0, len(plain) - 32, 4096)]
    pieces = [one for one in pieces if len(set(one)) > 16]  # no runs of zeros
    assert len(pieces) > 3
    for data in stored(hub):
        assert b"\x89HDF" not in data
        assert not any(one in data for one in pieces)
    key = web.get(f"/api/episodes/{bundle.name}/key", headers=bearer(WALLET.address)).json()["key"]
    assert not any(bytes.fromhex(key) in data for data in stored(hub))


@BOTH
def test_its_operator_its_owner_and_readers_get_it_by_ranges_and_whole(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path, steps=400)
    plain, path = (bundle / "episode.h5").read_bytes(), f"/api/episodes/{bundle.name}/files/episode.h5"
    for wallet in (WALLET.address, OWNER.address, READER):
        answer = web.get(path, headers=bearer(wallet))
        assert (answer.content, answer.headers["Cache-Control"]) == (plain, "private, no-store")
        assert answer.headers["ETag"] == f'"{hashlib.sha256(plain).hexdigest()}"'
        for start, end in ((0, 1), (65_530, 65_550), (len(plain) - 5, len(plain)), (100, 70_000)):
            part = web.get(path, headers={**bearer(wallet), "Range": f"bytes={start}-{end - 1}"})
            assert (part.status_code, part.content) == (206, plain[start:end])


def test_strangers_get_a_sentence_and_facts_stay_public(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    one = f"/api/episodes/{bundle.name}"
    for headers in ({}, bearer(MALLORY.address)):
        for more in ("files/episode.h5", "files/episode.h5.sealed", "key", "replay", "timeline", "channels"):
            answer = web.get(f"{one}/{more}", headers=headers)
            assert code(answer) == (403, "not_reader"), more
            assert "is private" in answer.json()["error"]["message"]
        assert web.head(f"{one}/files/episode.h5", headers=headers).status_code == 403
    shown = web.get(one).json()
    assert (shown["private"], shown["state"], shown["sha256"]) == (
        True,
        "verified",
        hashlib.sha256((bundle / "episode.h5").read_bytes()).hexdigest(),
    )
    for name in ("manifest.json", "signatures.json", "receipt.json"):
        assert web.get(f"{one}/files/{name}").status_code == 200
    assert web.get(f"/api/log/proof/{shown['receipt']['log_index']}").status_code == 200
    assert code(web.get(f"{one}/key", headers=bearer("0xnobody"))) == (403, "not_reader")


def test_a_key_opens_the_sealed_file_and_its_release_is_told(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    one, said = f"/api/episodes/{bundle.name}", {**bearer(READER), "Armshare-Purpose": "a policy for our lab"}
    key = web.get(f"{one}/key", headers=said)
    assert key.headers["Cache-Control"] == "private, no-store"
    found = key.json()
    data = web.get(f"{one}/files/episode.h5.sealed", headers=said).content
    opened = Sealed(
        lambda start, end: data[start:end],
        found["size"],
        bytes.fromhex(found["key"]),
        bound_to(found["episode"], found["digest"]),
    )
    opened.require_whole(len(data))
    plain = opened.read(0, found["size"])
    assert hashlib.sha256(plain).hexdigest() == found["sha256"]
    assert plain == (bundle / "episode.h5").read_bytes()

    for wallet in (WALLET.address, OWNER.address):
        told = web.get(f"{one}/uses", headers=bearer(wallet)).json()
        uses = {(use["wallet"], use["what"], use["purpose"], use["times"]) for use in told["uses"]}
        assert uses == {(READER, what, "a policy for our lab", 1) for what in ("key", "file")}
        assert [(who["wallet"], who["because"]) for who in told["readers"]] == [
            (WALLET.address, "operator"),
            (OWNER.address, "owner"),
            (READER, "reader"),
        ]
    for wallet in (READER, MALLORY.address):
        assert code(web.get(f"{one}/uses", headers=bearer(wallet))) == (403, "not_theirs")
    assert web.get(f"{one}/uses").status_code == 401


def test_what_a_former_reader_asks_for_is_refused_and_not_noted(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    one = f"/api/episodes/{bundle.name}"
    assert web.get(f"{one}/key", headers=bearer(READER)).status_code == 200
    revoke(hub)
    for more in ("key", "files/episode.h5", "files/episode.h5.sealed", "timeline"):
        assert code(web.get(f"{one}/{more}", headers=bearer(READER))) == (403, "not_reader")
    told = web.get(f"{one}/uses", headers=bearer(WALLET.address)).json()
    assert [(use["what"], use["times"]) for use in told["uses"]] == [("key", 1)]


def test_before_it_is_verified_readers_get_nothing(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path, signed=False)
    one = f"/api/episodes/{bundle.name}"
    assert code(web.get(f"{one}/key", headers=bearer(READER))) == (403, "not_reader")
    assert web.get(f"{one}/files/episode.h5", headers=bearer(READER)).status_code == 403
    assert web.get(f"{one}/files/episode.h5", headers=bearer(WALLET.address)).status_code == 200


def test_a_public_episode_has_no_key_and_stays_everybodys(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    seal(web, bundle, upload(web, bundle))
    sign(web, bundle)
    assert web.get(f"/api/episodes/{bundle.name}/files/episode.h5").status_code == 200
    assert code(web.get(f"/api/episodes/{bundle.name}/key", headers=bearer(WALLET.address))) == (404, "not_private")


def test_a_hub_without_a_sealing_store_takes_nothing_private(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub")
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as web:
        bundle = sealed_bundle(tmp_path)
        hub.begin(bundle.name, private=True)
        assert seal(web, bundle, upload(web, bundle)).status_code == 503
        assert not hub.store.has(bundle.name, "episode.h5")
    hub.close()


def test_a_copy_of_a_private_episode_is_found(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    """Whoever drives it again, or hands in what they once read, is refused by its motion."""
    first = handed_in(web, hub, tmp_path / "one", episode="first")
    again = sealed_bundle(tmp_path / "two", episode="again")
    hub.begin(again.name)
    assert seal(web, again, upload(web, again)).status_code == 202
    answer = sign(web, again)
    assert answer.status_code == 422
    assert web.get(f"/api/episodes/{again.name}").json()["twin"] == first.name


def test_segments_that_are_changed_or_swapped_in_the_store_are_the_stores_fault(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path, steps=400)
    store: SealingStore = hub.store
    place = store.store.root / bundle.name / "episode.h5"  # type: ignore[attr-defined]  # it is a folder
    good = place.read_bytes()
    step, head = (64 << 10) + 16, 16
    bad = good[:head] + good[head + step : head + 2 * step] + good[head : head + step] + good[head + 2 * step :]
    cut = good[:-1]
    for data in (bad, cut):
        place.write_bytes(data)
        (store.cache.folder / hashlib.sha256((bundle / "episode.h5").read_bytes()).hexdigest()).unlink(missing_ok=True)
        with pytest.raises(StoreLostError), store.file(bundle.name, "episode.h5").local():
            pytest.fail("it opened")
    place.write_bytes(bad)
    answer = web.get(f"/api/episodes/{bundle.name}/files/episode.h5", headers=bearer(WALLET.address))
    assert code(answer) == (503, "store_lost")


def test_the_hubs_own_key_can_be_changed_while_it_works(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    store: SealingStore = hub.store
    asked = web.get(f"/api/episodes/{bundle.name}/key", headers=bearer(WALLET.address)).json()["key"]
    old = store.masters.path.read_text()
    assert stat.S_IMODE(store.masters.path.stat().st_mode) == 0o600

    assert rotate_keys(hub.database, store.masters) == 1

    kept = store.masters.path.read_text()
    assert kept.startswith(old)  # what was being wrapped meanwhile may need it
    assert rotate_keys(hub.database, store.masters) == 1
    new = store.masters.path.read_text()
    assert not set(old.split()) & set(new.split())
    assert stat.S_IMODE(store.masters.path.stat().st_mode) == 0o600
    again = web.get(f"/api/episodes/{bundle.name}/key", headers=bearer(WALLET.address)).json()["key"]
    assert again == asked
    store.masters.path.write_text(old)
    with pytest.raises(StoreLostError, match="restore the file"):
        store.file(bundle.name, "episode.h5").read(0, 1)


def test_a_key_in_the_table_is_wrapped_for_its_episode_alone(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    one = handed_in(web, hub, tmp_path / "one", episode="one")
    two = handed_in(web, hub, tmp_path / "two", episode="two", signed=False)
    with hub.database() as db, db.begin():
        wrapped = db.scalar(select(KeyRow.wrapped).where(KeyRow.episode == one.name))
        db.execute(update(KeyRow).where(KeyRow.episode == two.name).values(wrapped=wrapped))
    with pytest.raises(StoreLostError, match="not what"):
        hub.store.file(two.name, "episode.h5").read(0, 1)


def test_plain_files_are_only_the_hubs_and_are_swept(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    store: SealingStore = hub.store
    (plain,) = [path for path in store.cache.folder.iterdir() if path.is_file()]
    for _ in range(2):
        assert stat.S_IMODE(plain.stat().st_mode) == 0o600
        assert stat.S_IMODE(store.cache.folder.stat().st_mode) == 0o700
        plain.unlink()
        with store.file(bundle.name, "episode.h5").local() as path:
            assert path.read_bytes() == (bundle / "episode.h5").read_bytes()
            store.cache.sweep(-1.0)
            assert path.exists()  # it is in use
    store.cache.sweep(3600.0)
    assert plain.exists()
    store.cache.sweep(-1.0)
    assert not plain.exists()


def test_a_worker_gets_no_bare_key_and_reads_the_file(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    key = web.get(f"/api/episodes/{bundle.name}/key", headers=bearer(WALLET.address)).json()["key"]
    sent = pickle.dumps(stored_bundle(hub.store, bundle.name))
    assert bytes.fromhex(key) not in sent
    folder = pickle.loads(sent).place(tmp_path / "placed")
    assert (folder / "episode.h5").read_bytes() == (bundle / "episode.h5").read_bytes()


@BOTH
def test_an_episode_that_is_erased_loses_its_key(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path, signed=False)
    path = f"/api/episodes/{bundle.name}"
    assert web.post(f"{path}/discard", headers=bearer(WALLET.address)).status_code == 200
    assert code(web.get(f"{path}/key", headers=bearer(WALLET.address))) == (409, "episode_state")
    Erasing(hub.database, hub.store, lambda: 10**13, 0).sweep()
    with hub.database() as db:
        assert db.get(KeyRow, bundle.name) is None
        assert db.get_one(EpisodeRow, bundle.name).size is None
    assert not list(hub.store.cache.folder.iterdir())
    assert not any(b"armshare sealed" in data for data in stored(hub))
