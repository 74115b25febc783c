"""A terminal waits for the hub's own word, whatever comes before it."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from armshare import patience
from armshare.failures import EpisodeGoneError
from armshare.patience import manifest_of, patiently, score_of
from teleop.operator.driver import RefusedError

pytestmark = pytest.mark.anyio


def own(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": "said by the hub"}})


def arrival(state: str, received: int = 0, length: int | None = 2_000_000) -> httpx.Response:
    return httpx.Response(200, json={"episode": "e1", "state": state, "received": received, "length": length})


class Hub:
    """Answers with what it was given, one after the other; an exception is a line that is cut."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.asked, self.told = list(answers), list[str](), list[str]()

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url="http://hub", transport=httpx.MockTransport(self.answer))


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which lasts."""
    made: list[float] = []

    async def pause(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(patience.asyncio, "sleep", pause)
    return made


@pytest.mark.parametrize(
    "strange",
    [
        lambda: httpx.Response(502, text="<html>502 Bad Gateway</html>"),
        lambda: httpx.Response(413, text="<html>413</html>"),
        lambda: httpx.Response(404, text="<html>404</html>"),
        lambda: httpx.Response(404, json=["no", "shape"]),
        lambda: httpx.Response(403, json={"error": "no"}),
        lambda: own(503, "verifier_lost"),
        lambda: httpx.ConnectError("no route to host"),
        lambda: httpx.ReadTimeout(""),
    ],
)
async def test_what_is_not_the_hubs_word_is_asked_again_with_growing_pauses(
    pauses: list[float], strange: Callable[[], httpx.Response | Exception]
) -> None:
    hub = Hub(*(strange() for _ in range(7)), httpx.Response(200, text="here"))
    async with hub.client() as http:
        assert (await patiently(lambda: http.get("/x"), hub.told.append)).text == "here"
    assert pauses == [1.0, 2.0, 5.0, 10.0, 30.0, 30.0, 30.0]
    assert len(hub.told) == 7
    assert all("the hub does not answer" in line and "asked again in" in line for line in hub.told)


async def test_the_hubs_own_refusal_is_final(pauses: list[float]) -> None:
    hub = Hub(own(409, "episode_state"))
    async with hub.client() as http:
        assert (await patiently(lambda: http.get("/x"))).status_code == 409
    assert pauses == []


async def test_a_slow_uplink_is_waited_for_and_its_progress_told() -> None:
    coming = [arrival("recording", length=None)] + [arrival("recording", 10_000 * i) for i in range(60)]
    hub = Hub(*coming, arrival("uploaded", 2_000_000), httpx.Response(200, content=b"the manifest"))
    async with hub.client() as http:
        assert await manifest_of(http, "e1", hub.told.append) == b"the manifest"
    assert hub.told[0] == "e1: the robot's computer has not begun to send it"
    assert hub.told[-1] == "e1: 0.6 of 2.0 MB have arrived"
    assert len(hub.told) == 8, "each only once"


GONE = {"discarded": "it is discarded already", "rejected": "was refused by the hub"}


@pytest.mark.parametrize("state", GONE)
async def test_what_was_decided_elsewhere_meanwhile_is_not_waited_for(state: str) -> None:
    hub = Hub(arrival("recording"), arrival(state))
    async with hub.client() as http:
        with pytest.raises(EpisodeGoneError, match=GONE[state]):
            await manifest_of(http, "e1")


async def test_an_episode_that_the_hub_never_asked_for_is_not_waited_for() -> None:
    hub = Hub(own(404, "unknown_episode"))
    async with hub.client() as http:
        with pytest.raises(RefusedError, match="unknown_episode"):
            await manifest_of(http, "e1")


async def test_a_score_is_waited_for_and_one_that_never_comes_is_not() -> None:
    not_yet = [own(404, "not_scored") for _ in range(30)]
    hub = Hub(*not_yet, httpx.Response(200, json={"score": 1.0}), own(404, "never_scored"))
    async with hub.client() as http:
        assert await score_of(http, "e1") == {"score": 1.0}
        with pytest.raises(RefusedError, match="never_scored"):
            await score_of(http, "e1")
