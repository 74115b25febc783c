"""Asking a hub for as long as it takes: no episode is lost because an uplink is slow, cut, or behind a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import httpx

from armshare.failures import EpisodeGoneError
from teleop.operator.driver import refusal

Tell = Callable[[str], None]
"""Told what is waited for, in words, whenever that changes."""
Ask = Callable[[], Awaitable[httpx.Response]]
WAIT_S: Final = 2
"""How long the hub keeps a question that it cannot answer yet; then it says how far it is."""
_PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""The pauses after one, two, ... answers in a row that were not the hub's own."""
_COMING: Final = ("recording", "sealed")
_GONE: Final = ("discarded",)


def silent(_text: str) -> None:
    """Tell nobody."""


async def patiently(ask: Ask, tell: Tell = silent) -> httpx.Response:
    """Return the hub's own answer, whatever it says; while there is none, ask again after pauses that grow."""
    failures = 0
    while True:
        try:
            answer = await ask()
            if not answer.is_error or (_is_own(answer) and not answer.is_server_error):
                return answer
            said = str(refusal(answer)) if _is_own(answer) else f"{answer.status_code}, not the hub's own answer"
        except httpx.TransportError as error:
            said = str(error) or type(error).__name__
        pause_s = _PAUSES_S[min(failures, len(_PAUSES_S) - 1)]
        failures += 1
        tell(f"the hub does not answer ({said}); it is asked again in {pause_s:.0f} s")
        await asyncio.sleep(pause_s)


async def manifest_of(http: httpx.AsyncClient, episode: str, tell: Tell = silent) -> bytes:
    """Return an episode's manifest once its host has sent all of it, however long that takes.

    Raises EpisodeGoneError if it was discarded meanwhile, or the hub refused what its host sent, or RefusedError.
    """
    before, path = "", f"/api/episodes/{episode}"
    while True:
        asked = await patiently(lambda: http.get(f"{path}/arrival", params={"wait_s": WAIT_S}), tell)
        arrival = _required(asked).json()
        if arrival["state"] not in _COMING:
            break
        if (now := f"{episode}: {arrived(arrival['received'], arrival['length'])}") != before:
            tell(now)
            before = now
    if arrival["state"] == "rejected":
        why = arrival.get("reason") or "it does not say why"
        raise EpisodeGoneError(f"{episode} was refused by the hub, so it does not count: {why}")
    if arrival["state"] in _GONE:
        raise EpisodeGoneError(f"{episode} cannot be signed: it is {arrival['state']} already.")
    return _required(await patiently(lambda: http.get(f"{path}/manifest"), tell)).content


async def score_of(http: httpx.AsyncClient, episode: str, tell: Tell = silent) -> dict[str, Any]:
    """Return a verified episode's score, once the hub has it; raise RefusedError if it never will."""
    while True:
        answer = await patiently(lambda: http.get(f"/api/episodes/{episode}/score", params={"wait_s": WAIT_S}), tell)
        if answer.is_success or refusal(answer).code != "not_scored":
            return dict(_required(answer).json())


def held(episode: Mapping[str, Any]) -> str:
    """Say why a signed episode waits."""
    why = str(episode["reason"]).partition(": ")[2] or "the hub does not say why"
    return f"{episode['episode']} is signed and waits to be checked: {why}; the hub checks it again by itself"


def uncheckable(reason: str) -> str:
    """Say before a drive that the hub will not be able to check it."""
    return f"the hub cannot check what is driven here now: {reason.partition(': ')[2]}; it waits till then, unpaid"


def arrived(received: int, length: int | None) -> str:
    """Say how much of an episode has arrived."""
    if length is None:
        return "the robot's computer has not begun to send it"
    if length < 1_000_000:
        return f"{received // 1000} of {-(-length // 1000)} kB have arrived"
    return f"{received / 1e6:.1f} of {length / 1e6:.1f} MB have arrived"


def _required(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise refusal(answer)
    return answer


def _is_own(answer: httpx.Response) -> bool:
    """Whether a refusal is in the hub's own shape, and so not a proxy's."""
    try:
        return isinstance(answer.json()["error"]["code"], str)
    except (ValueError, KeyError, TypeError):
        return False
