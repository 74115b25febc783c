"""Cannot check is not false: what a hub cannot check it holds, says why, and checks again; only a refusal is final."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from recorder.file.episode import Episode
from recorder.hub.records import AGAIN_FIRST_S, AGAIN_MOST_S, again_in_s
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import MANIFEST_FILE
from recorder.proof.unable import WORDS
from recorder.proof.verify import verify_bundle
from sim.catalogue import UnknownRobotError
from sim.physics.engine import EngineMismatchError
from sim.physics.replay import ReplayMismatchError
from sim.robot import UnstableWorldError
from tests.recorder.bundles import TRUST, sealed_bundle, sign_as_operator
from tests.recorder.factory import DOMAIN, MALLORY, SESSION, WALLET
from tests.recorder.hub.test_api import handed_in, seal, sign, upload
from tests.recorder.served import Hub, bearer, code


class Simulator:
    """Raises what it is told to, and counts."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = 0

    def __call__(self, episode: Episode) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def simulator() -> Simulator:
    return Simulator()


@pytest.fixture
def hub(tmp_path: Path, simulator: Simulator) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub", replay=simulator)
    yield made
    made.close()


@pytest.fixture
def web(hub: Hub) -> Iterator[httpx.Client]:
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


def shown(web: httpx.Client, episode: str) -> dict[str, Any]:
    found: dict[str, Any] = web.get(f"/api/episodes/{episode}").json()
    return found


def check_again(hub: Hub, *, due: bool = False) -> None:
    asyncio.run(hub.intake.check_held(hub.door.ticket, due=due))


def look_again(web: httpx.Client, episode: str, operator: str = WALLET.address) -> httpx.Response:
    return web.post(f"/api/episodes/{episode}/another-look", headers=bearer(operator), json={})


CANNOT: dict[str, tuple[Exception, str]] = {
    "another libm": (EngineMismatchError("libm 1234 (here 5678)"), "EngineMismatch"),
    "a robot that is not here": (UnknownRobotError("expected one of panda, got 'pandora'"), "UnknownRobot"),
    "too little memory": (MemoryError(), "OutOfMemory"),
    "a fault of our own": (KeyError("nobody thought of this"), "VerifierBroke"),
}


@pytest.mark.parametrize("what", CANNOT)
def test_what_cannot_be_checked_is_held_and_verified_by_a_worker_that_can(
    tmp_path: Path, hub: Hub, web: httpx.Client, simulator: Simulator, what: str
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    simulator.error, reason = CANNOT[what]

    answer = sign(web, bundle)

    assert (answer.status_code, answer.json()["state"], answer.json()["receipt"]) == (200, "held", None)
    assert answer.json()["reason"] == f"{reason}: {WORDS[reason]}"
    check_again(hub)
    assert shown(web, bundle.name)["state"] == "held"
    simulator.error = None
    check_again(hub)
    now = shown(web, bundle.name)
    assert (now["state"], now["reason"], now["next_try_ms"]) == ("verified", "finished", None)
    assert verify_bundle(hub.store.folder(bundle.name), TRUST).digest == now["digest"]


FALSE = {
    "another state": ReplayMismatchError(3, "cube_pose[0]", 1.0, 2.0),
    "a world that bursts": UnstableWorldError("step 3: the cube left"),
}


@pytest.mark.parametrize("what", FALSE)
def test_other_bits_by_the_same_engine_are_refused(
    tmp_path: Path, hub: Hub, web: httpx.Client, simulator: Simulator, what: str
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    simulator.error = FALSE[what]

    assert code(sign(web, bundle)) == (422, "ReplayMismatch")
    simulator.error = None
    check_again(hub)
    assert shown(web, bundle.name)["state"] == "rejected"
    assert simulator.asked == 1


class DyingPool(ThreadPoolExecutor):
    """Workers that die at first."""

    dying = True

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.dying:
            raise BrokenExecutor("a child process terminated abruptly")
        return super().submit(*args, **kwargs)


def test_a_dead_worker_holds_an_episode_until_there_is_another(tmp_path: Path) -> None:
    pool = DyingPool()
    hub = Hub(tmp_path / "hub", executor=pool)
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as web:
        bundle = handed_in(web, hub, tmp_path)
        assert (sign(web, bundle).json()["state"], shown(web, bundle.name)["reason"]) == (
            "held",
            f"WorkerLost: {WORDS['WorkerLost']}",
        )
        pool.dying = False
        check_again(hub)
        assert shown(web, bundle.name)["state"] == "verified"
    hub.close()


def test_a_hub_that_starts_again_checks_what_it_held(
    tmp_path: Path, hub: Hub, web: httpx.Client, simulator: Simulator
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    simulator.error = MemoryError()
    sign(web, bundle)

    again = Hub(tmp_path / "hub")
    again.begin(bundle.name)
    check_again(again)

    assert shown(web, bundle.name)["state"] == "verified"
    again.close()


def test_what_is_not_due_waits_and_waits_longer_each_time(
    tmp_path: Path, hub: Hub, web: httpx.Client, simulator: Simulator
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    simulator.error = MemoryError()
    sign(web, bundle)
    first = shown(web, bundle.name)["next_try_ms"]

    check_again(hub, due=True)
    assert simulator.asked == 1
    check_again(hub)
    assert shown(web, bundle.name)["next_try_ms"] > first + 1000 * AGAIN_FIRST_S
    waits = [again_in_s(tries) for tries in range(1, 1000)]
    assert waits[0] == AGAIN_FIRST_S
    assert waits == sorted(waits)
    assert waits[-1] == AGAIN_MOST_S


def test_a_held_episode_may_be_discarded_and_signed_again(
    tmp_path: Path, hub: Hub, web: httpx.Client, simulator: Simulator
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    simulator.error = MemoryError()
    assert sign(web, bundle).json() == sign(web, bundle).json()
    assert (shown(web, bundle.name)["state"], simulator.asked) == ("held", 1), "only its time brings the next check"

    answer = web.post(f"/api/episodes/{bundle.name}/discard", headers=bearer(WALLET.address))
    assert answer.json()["state"] == "discarded"
    simulator.error = None
    check_again(hub)
    assert shown(web, bundle.name)["state"] == "discarded"


def test_a_wrong_signature_that_was_held_can_be_given_again(tmp_path: Path) -> None:
    pool = DyingPool()
    hub = Hub(tmp_path / "hub", executor=pool)
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as web:
        bundle = handed_in(web, hub, tmp_path)
        assert sign(web, bundle, signature="0x" + 64 * "1" + 64 * "2" + "1b").json()["state"] == "held"
        pool.dying = False
        check_again(hub)
        assert (shown(web, bundle.name)["state"], shown(web, bundle.name)["reason"]) == ("uploaded", "finished")
        assert sign(web, bundle).json()["state"] == "verified"
    hub.close()


def test_an_operator_may_ask_for_another_look_once(
    tmp_path: Path, hub: Hub, web: httpx.Client, simulator: Simulator
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    assert code(look_again(web, bundle.name)) == (409, "episode_state"), "it is not rejected"
    simulator.error = FALSE["another state"]
    sign(web, bundle)
    assert shown(web, bundle.name)["another_look"]
    assert code(sign(web, bundle)) == (409, "episode_state")
    assert code(look_again(web, bundle.name, MALLORY.address)) == (403, "not_the_operator")

    assert code(look_again(web, bundle.name)) == (422, "ReplayMismatch")

    simulator.error = None
    assert not shown(web, bundle.name)["another_look"]
    assert code(look_again(web, bundle.name)) == (409, "episode_state")
    assert shown(web, bundle.name)["state"] == "rejected"


def test_another_look_verifies_what_was_refused_by_mistake(
    tmp_path: Path, hub: Hub, web: httpx.Client, simulator: Simulator
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    simulator.error = FALSE["another state"]
    sign(web, bundle)
    simulator.error = None

    assert look_again(web, bundle.name).json()["state"] == "verified"


def test_another_look_that_cannot_be_taken_now_is_taken_later(
    tmp_path: Path, hub: Hub, web: httpx.Client, simulator: Simulator
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    simulator.error = FALSE["another state"]
    sign(web, bundle)
    simulator.error = MemoryError()
    assert look_again(web, bundle.name).json()["state"] == "held"
    simulator.error = None
    check_again(hub)
    assert shown(web, bundle.name)["state"] == "verified"


def two_of_one_previous(folder: Path) -> list[Path]:
    previous = "0x" + 64 * "5"
    return [
        sealed_bundle(folder, episode=f"episode-{number}", reach=0.5 + 0.1 * number, previous=previous)
        for number in range(2)
    ]


@pytest.mark.usefixtures("either_database")
@pytest.mark.parametrize("signed_first", [0, 1])
def test_of_two_episodes_with_one_previous_the_first_to_be_sealed_stands(
    tmp_path: Path, hub: Hub, web: httpx.Client, signed_first: int
) -> None:
    """Each used to be the other's rival, and both lost."""
    bundles = two_of_one_previous(tmp_path)
    for bundle in bundles:
        hub.begin(bundle.name)
        assert seal(web, bundle, upload(web, bundle)).status_code == 202

    answers = {number: sign(web, bundles[number]) for number in (signed_first, 1 - signed_first)}

    assert answers[0].json()["state"] == "verified"
    assert code(answers[1]) == (422, "PreviousForked")


@pytest.mark.usefixtures("either_database")
def test_of_two_that_were_sealed_at_the_same_time_one_stands(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundles = two_of_one_previous(tmp_path)
    for bundle in bundles:
        hub.begin(bundle.name)
        seal(web, bundle, upload(web, bundle))
    with hub.database() as db, db.begin():
        db.execute(update(EpisodeRow).values(sealed_ms=None, created_ms=1))

    assert code(sign(web, bundles[1])) == (422, "PreviousForked")
    assert sign(web, bundles[0]).json()["state"] == "verified"


def test_another_look_at_what_an_earlier_release_rejected_needs_the_signature_again(
    tmp_path: Path, hub: Hub, web: httpx.Client, simulator: Simulator
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    simulator.error = FALSE["another state"]
    sign(web, bundle)
    simulator.error = None
    with hub.database() as db, db.begin():
        db.execute(update(EpisodeRow).values(operator_signature=None))

    assert code(look_again(web, bundle.name)) == (422, "OperatorSignatureInvalid")
    assert shown(web, bundle.name)["another_look"], "it is not used up"
    signature = sign_as_operator((bundle / MANIFEST_FILE).read_bytes(), SESSION, DOMAIN)
    path = f"/api/episodes/{bundle.name}/another-look"
    answer = web.post(path, headers=bearer(WALLET.address), json={"signature": signature})
    assert answer.json()["state"] == "verified"
