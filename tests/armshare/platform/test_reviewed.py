"""A real episode counts: driven through the hub by one wallet, judged by another, paid to operator, owner and reviewer.

The arm is emulated, under the vendor's own SDK; everything else is the real processes.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from armshare.platform.processes import Child, hub_process
from recorder.file.episode import read_episode
from recorder.proof.contribute import Driven, countersign
from rewards.hub.reviews.voting import EPISODE_REVIEW, Answer
from rewards.ledger.settle import read_payout
from teleop.identity import new_key
from teleop.operator.driver import Driver
from teleop.wire.messages import Mode, Safety
from tests.armshare.platform.test_house import armshare, lifted, robot_of
from tests.emulators.feetech import FeetechBus
from tests.teleop.cameras.scenes import colour_film, scene

pytestmark = pytest.mark.anyio

PRICE_WEI = 10**18


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab in which everybody is known: its arm's task has a price, and a reviewer need not have driven before."""
    monkeypatch.setenv("ARMSHARE_PRICES", json.dumps({"free": PRICE_WEI}))
    monkeypatch.setenv("ARMSHARE_REVIEW_EPISODES", "0")
    monkeypatch.setenv("ARMSHARE_REVIEW_KNOWN", "0")
    desk = {"name": "desk", "width": 320, "height": 240, "mount": "gripper_body"}
    desk["device"] = colour_film(tmp_path / "desk.avi", [scene(number) for number in range(40)])
    (tmp_path / "cameras.json").write_text(json.dumps({"cameras": [desk]}))
    return tmp_path


async def moved(driver: Driver) -> bool:
    """Begin, and move the hand up and down again; return whether the arm still works."""
    if await lifted(driver) is None:
        return False
    for count in range(60):
        state = await driver.next_state()
        if state.safety is Safety.FAULTED:
            return False
        up_m_s = 0.04 if count < 30 else -0.04
        await driver.command(Mode.EE_TWIST, [0, 0, up_m_s, 0, 0, 0, 1], dead_man=state.safety is not Safety.EXPIRED)
    return True


async def driven(driver: Driver, robot: str, url: str, lab: Path) -> str:
    """Drive the arm, say that the task was done, and sign; return the episode."""
    clear = ("clear", "so101-1", "--hub", url, "--data", str(lab))
    while not await moved(driver):
        while (done := await asyncio.to_thread(armshare, *clear)).returncode:
            assert "still broken" in done.stderr, done.stderr
    ended = await driver.finish(said=True)
    assert (ended["valid"], ended["success"]) == (True, None)
    episode = ended["episode"]
    answer = await driver.http.get(f"/api/episodes/{episode}/manifest?wait_s=10")
    about = Driven(episode, driver.wallet.address, robot, "free")
    signature = countersign(answer.content, about, driver.session_key, driver.domain)
    verified = await driver.call("POST", f"/api/episodes/{episode}/signature", {"signature": signature})
    assert (verified["state"], verified["trust"]) == ("verified", "witnessed")
    return str(episode)


async def waiting(driver: Driver, robot: str, url: str, lab: Path) -> str:
    """Drive until an episode awaits review: on a busy machine bus or camera may stall, and that one is refused."""
    while True:
        episode = await driven(driver, robot, url, lab)
        score = await driver.call("GET", f"/api/episodes/{episode}/score?wait_s=20")
        if score["review"]["state"] == "open":
            assert (score["awaiting_review"], score["pay"]) == (True, "0")
            return episode
        why = score["review"]["reasons"][0]
        assert "too slow" in why or "no usable picture" in why, score["review"]


async def judged(reviewer: Driver, passed: bool) -> dict[str, Any]:
    """Judge what comes, as soon as the hub takes it; return the task."""
    task = (await reviewer.call("GET", "/api/reviews/next"))["task"]
    said = Answer(reviewer.wallet.address, task["episode"], passed, "", {}, task["assigned_ms"], "")
    signature = EPISODE_REVIEW.sign(reviewer.wallet, reviewer.domain, said.statement(task["digest"]))
    seen = {"pictures_s": task["duration_ms"] / 1000, "replay_s": 0.0}
    body = {"pass": passed, "seen": seen, "reviewed_ms": said.reviewed_ms, "signature": signature}
    path = f"/api/reviews/{task['episode']}"
    answer = await reviewer.http.post(path, json=body)
    while answer.status_code == 425:  # as long as nobody can have looked at it, and then at once
        await asyncio.sleep(float(answer.headers["retry-after"]))
        answer = await reviewer.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(task)


async def test_an_emulated_arms_episode_is_judged_by_a_stranger_and_pays_operator_owner_and_reviewer(lab: Path) -> None:
    with (lab / "log").open("wb") as log, FeetechBus() as bus, hub_process(lab, 0, log) as (url, _hub):
        arguments = ["host", "--robot", "so101", "--port", bus.device, "--hub", url, "--data", str(lab)]
        host = Child("host", [*arguments, "--camera-file", str(lab / "cameras.json")], log)
        try:
            async with Driver(url, new_key()) as driver, Driver(url, new_key()) as reviewer:
                robot = await robot_of(driver, "so101-1")
                await driver.join(robot, "free")
                episode = await waiting(driver, robot, url, lab)
                assert (await driver.call("GET", "/api/reviews/next"))["task"] is None, "nobody judges themselves"
                task = await judged(reviewer, True)
                assert (task["episode"], task["instruction"]) == (episode, "Drive the arm as you like.")
                await paid(url, lab, driver, reviewer, robot, episode)
        finally:
            host.stop()
    made = read_episode(lab / "host" / "so101-1" / "uploaded" / episode / "episode.h5")
    assert (made.end.said, made.end.success) == (True, None)


async def paid(url: str, lab: Path, driver: Driver, reviewer: Driver, robot: str, episode: str) -> None:
    """Check what each of the three has earned, that it is settled, and that a stranger can check the vote."""
    score = await driver.call("GET", f"/api/episodes/{episode}/score")
    assert score["review"]["state"] == "passed"
    pay_wei = PRICE_WEI * round(score["review"]["score"] * 1_000_000) // 1_000_000
    owner = (await driver.call("GET", f"/api/robots/{robot}"))["owner"]
    expected = {
        driver.wallet.address: ("operator", pay_wei),
        owner: ("owner", pay_wei // 10),
        reviewer.wallet.address: ("reviewer", PRICE_WEI // 20),
    }
    for address, (role, amount_wei) in expected.items():
        [line] = (await driver.call("GET", f"/api/balances/{address}"))["entries"]
        assert (line["role"], line["episode"], line["amount"]) == (role, episode, str(amount_wei))
    token = (lab / "keys" / "admin.token").read_text().strip()
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        root = (await client.post("/api/settle", headers={"Authorization": f"Bearer {token}"})).json()
        document = await client.get(f"/api/roots/{root['root']}")
        shown = (await client.get(f"/api/episodes/{episode}/reviews")).json()
    assert dict(read_payout(document.content).cumulative) == {who: amount for who, (_, amount) in expected.items()}
    claimed = await reviewer.call("POST", "/api/claim")
    assert claimed["amount"] == str(PRICE_WEI // 20)
    [vote] = shown["reviews"]
    said = Answer(vote["reviewer"], episode, True, vote["reason"], {}, vote["reviewed_ms"], vote["signature"])
    EPISODE_REVIEW.require(vote["reviewer"], driver.domain, said.statement(shown["digest"]), vote["signature"])
