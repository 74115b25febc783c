"""What the command line says of an episode that waits to be checked, and of another look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from armshare.failures import HeldError
from armshare.operator import handing as driving
from armshare.operator import unsigned as deciding
from armshare.operator.unsigned import Decided, decide
from recorder.proof.unable import WORDS
from teleop.identity import new_key
from teleop.operator.driver import RefusedError

pytestmark = pytest.mark.anyio
HELD = {"episode": "e1", "state": "held", "reason": f"OutOfMemory: {WORDS['OutOfMemory']}", "receipt": None}
SCORE = {"episode": "e1", "accepted": True, "score": 0.9}
SAID = "e1 is signed and waits to be checked: the worker that checked it ran out of memory; "


def hub(monkeypatch: pytest.MonkeyPatch, looked: httpx.Response) -> list[str]:
    """Answer in place of a hub that has nothing unsigned; return what it is asked to do, as it comes."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            asked.append(request.url.path)
            return looked
        if request.url.path == "/api/config":
            return httpx.Response(200, json={"chain_id": 31337, "vault": new_key().address})
        return httpx.Response(200, json=SCORE if request.url.path.endswith("/score") else [])

    @asynccontextmanager
    async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=url, transport=httpx.MockTransport(answer)) as http:
            yield http

    async def signed_in(*_: Any) -> None:
        return None

    monkeypatch.setattr(deciding, "_client", client)
    monkeypatch.setattr(deciding, "sign_in", signed_in)
    return asked


async def look(monkeypatch: pytest.MonkeyPatch, looked: httpx.Response) -> tuple[Decided, list[str], list[str]]:
    asked, told, wallet = hub(monkeypatch, looked), [], new_key()
    decided = Decided(wallet.address)
    await decide("http://hub", wallet, decided, [], [], told.append, ["e1"])
    return decided, told, asked


async def test_an_episode_that_passes_at_another_look_has_its_score(monkeypatch: pytest.MonkeyPatch) -> None:
    decided, told, asked = await look(monkeypatch, httpx.Response(200, json=HELD | {"state": "verified"}))

    assert (decided.signed, told, asked) == ([SCORE], [], ["/api/episodes/e1/another-look"])


async def test_an_episode_that_waits_says_why_and_that_nothing_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    decided, told, _ = await look(monkeypatch, httpx.Response(200, json=HELD))

    assert decided.signed == []
    assert told == [f"{SAID}the hub checks it again by itself"]


async def test_an_episode_that_is_refused_again_says_which_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"error": {"code": "refused", "gate": "ReplayMismatch", "message": "step 3"}}

    with pytest.raises(RefusedError, match="step 3") as error:
        await look(monkeypatch, httpx.Response(422, json=refused))
    assert error.value.code == "ReplayMismatch"


async def test_a_drive_whose_episode_waits_says_that_it_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def manifest(*_: Any) -> bytes:
        return b"{}"

    class Driver:
        wallet = session_key = new_key()
        task: dict[str, str] = {"name": "lift"}  # noqa: RUF012  as a driver has it
        domain = None
        said: dict[str, object] = {}  # noqa: RUF012  as a driver has it
        http = httpx.AsyncClient(
            base_url="http://hub", transport=httpx.MockTransport(lambda request: httpx.Response(200, json=HELD))
        )

    monkeypatch.setattr(driving, "manifest_of", manifest)
    monkeypatch.setattr(driving, "_signature", lambda *_: "0x")
    async with Driver.http:
        with pytest.raises(HeldError, match=SAID):
            await driving.contribute(Driver(), {"episode": "e1"}, "robot")  # type: ignore[arg-type]  in its place
