"""An episode that the hub refuses when its host seals it is over for its operator too, who is told why."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from armshare.failures import EpisodeGoneError
from armshare.patience import manifest_of
from recorder.hub.states import EpisodeState
from recorder.hub.uploads import UPLOAD_BYTES_MAX
from recorder.proof.asked import Live
from tests.recorder.bundles import sealed_bundle
from tests.recorder.factory import MALLORY, ROBOT, WALLET
from tests.recorder.hub.test_api import create, seal, sign, upload
from tests.recorder.served import Hub, bearer, code, ticket_of


def shown(web: httpx.Client, episode: str) -> dict[str, Any]:
    found: dict[str, Any] = web.get(f"/api/episodes/{episode}").json()
    return found


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "another seed": ({"seed": 8}, "TicketMismatch"),
    "another operator": ({"operator": MALLORY.address}, "TicketMismatch"),
    "another nonce": ({"nonce": "0x" + 64 * "1"}, "NonceMismatch"),
    "an end that nobody asked for": ({"live": Live()}, "EndMismatch"),
}


def refused(web: httpx.Client, hub: Hub, folder: Path, changes: dict[str, Any]) -> tuple[Path, httpx.Response]:
    """Hand in an episode that the hub asked for otherwise."""
    bundle = sealed_bundle(folder)
    hub.door.tickets[bundle.name] = dataclasses.replace(ticket_of(bundle.name), **changes)
    return bundle, seal(web, bundle, upload(web, bundle))


@pytest.mark.parametrize("lie", LIES)
def test_its_operator_is_told_which_gate_refused_it_and_waits_no_more(
    tmp_path: Path, hub: Hub, web: httpx.Client, lie: str
) -> None:
    changes, gate = LIES[lie]
    bundle, answer = refused(web, hub, tmp_path, changes)

    assert code(answer) == (422, gate)
    now = shown(web, bundle.name)
    assert (now["state"], now["size"], now["another_look"]) == ("rejected", None, False)
    assert now["reason"].startswith(f"{gate}: ")
    arrival = web.get(f"/api/episodes/{bundle.name}/arrival").json()
    assert (arrival["state"], arrival["reason"]) == ("rejected", now["reason"])
    assert web.get(f"/api/operators/{WALLET.address}/unsigned").json() == []


def test_whoever_waits_is_woken_and_nobody_waits_later(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name, seed=8)
    location = upload(web, bundle)
    answers: list[dict[str, Any]] = []

    def wait() -> None:
        with httpx.Client(base_url=web.base_url, timeout=40) as other:
            answers.append(other.get(f"/api/episodes/{bundle.name}/arrival", params={"wait_s": 30}).json())

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert code(seal(web, bundle, location)) == (422, "TicketMismatch")
    waiting.join(20)
    wait()
    assert [one["state"] for one in answers] == ["rejected", "rejected"]


def test_the_terminal_says_why_and_ends(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle, _answer = refused(web, hub, tmp_path, {"seed": 8})

    async def ask() -> bytes:
        async with httpx.AsyncClient(base_url=web.base_url) as http:
            return await manifest_of(http, bundle.name)

    with pytest.raises(EpisodeGoneError, match="was refused by the hub, so it does not count: TicketMismatch: "):
        asyncio.run(ask())


def test_handing_it_in_again_gets_the_same_answer_and_another_look_has_nothing_to_look_at(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle, answer = refused(web, hub, tmp_path, {"seed": 8})
    again = seal(web, bundle, upload(web, bundle))

    assert (again.status_code, again.json()) == (answer.status_code, answer.json())
    look = web.post(f"/api/episodes/{bundle.name}/another-look", headers=bearer(WALLET.address), json={})
    assert code(look) == (410, "episode_erased")
    assert "refused as it came" in look.json()["error"]["message"]
    assert code(sign(web, bundle)) == (409, "episode_state")
    assert code(web.get(f"/api/episodes/{bundle.name}/files/episode.h5", headers=bearer(WALLET.address)))[0] == 410


def test_what_was_refused_once_is_not_taken_later(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle, _answer = refused(web, hub, tmp_path, {"seed": 8})
    hub.begin(bundle.name)

    assert code(seal(web, bundle, upload(web, bundle))) == (409, "episode_state")
    assert shown(web, bundle.name)["state"] == "rejected"
    assert not hub.store.folder(bundle.name).exists()


def test_another_robot_cannot_have_an_episode_refused(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    """It may send whatever it likes in the name of an episode that it was not asked for."""
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    location = upload(web, bundle)
    body = {"manifest": "{}", "robot_signature": "0x", "upload": "0"}
    answer = web.post(f"/api/episodes/{bundle.name}/seal", json=body, headers=bearer(MALLORY.address))
    assert answer.is_error
    assert shown(web, bundle.name)["state"] == "recording"

    assert seal(web, bundle, location).json()["state"] == "uploaded"


def test_a_file_that_is_too_large_is_over_for_its_operator_too(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    assert code(create(web, bundle.name, UPLOAD_BYTES_MAX + 1)) == (413, "upload_too_large")

    now = shown(web, bundle.name)
    assert (now["state"], now["reason"].partition(":")[0]) == ("rejected", "UploadTooLarge")


def test_what_is_here_stays_whatever_its_host_sends_later(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = sealed_bundle(tmp_path)
    hub.begin(bundle.name)
    assert seal(web, bundle, upload(web, bundle)).json()["state"] == "uploaded"
    body = {"manifest": "{}", "robot_signature": "0x", "upload": "0"}
    assert web.post(f"/api/episodes/{bundle.name}/seal", json=body, headers=bearer(ROBOT.address)).status_code == 409

    hub.records.refuse(ticket_of(bundle.name), "TicketMismatch: too late")
    assert hub.catalogue.get(bundle.name).state is EpisodeState.UPLOADED
