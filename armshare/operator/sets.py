"""`armshare dataset create`, `append` and the other changes, each signed in with a wallet's key; and what they say."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
from eth_account.signers.local import LocalAccount

from armshare.client import client_of, no_hub
from armshare.failures import DoorError
from rewards.datasets.version import NAME
from sim.words import listed
from teleop.dialing import trusted
from teleop.operator.driver import ANSWER_S, call, hub_config, sign_in

CHANGE_S = 4 * ANSWER_S
"""How long a hub may take to make a version of many episodes."""


class DatasetWordsError(DoorError):
    """What was written on the command line is not what a data set needs."""


def named(text: str) -> tuple[str, int | None]:
    """Return the name and the version of `NS/NAME@N`, or of `NS/NAME` and None; raise DatasetWordsError."""
    name, at, version = text.partition("@")
    if not NAME.fullmatch(name) or (at and not (version.isascii() and version.isdecimal() and len(version) < 10)):
        raise DatasetWordsError(f"{text!r} is not a data set's name: write NAMESPACE/NAME, or NAMESPACE/NAME@VERSION.")
    return name, int(version) if at else None


def words(given: Sequence[str]) -> dict[str, str]:
    """Return the words of searches such as `task=lift score_min=0.8`."""
    pairs = [pair for text in given for pair in shlex.split(text)]
    found: dict[str, str] = {}
    for pair in pairs:
        word, equals, value = pair.partition("=")
        if not equals or word in found:
            raise DatasetWordsError(f"{pair!r} cannot be searched for: write words like task=lift, each once.")
        found[word] = value
    return found


def shares(text: str) -> dict[str, float]:
    """Return the shares of `0.8,0.1,0.1`; raise DatasetWordsError."""
    try:
        train, validation, test = (float(part) for part in text.split(","))
    except ValueError as error:
        said = "three shares that add up to 1, of train, validation and test, such as 0.8,0.1,0.1"
        raise DatasetWordsError(f"{text!r} is not how splits are written: name {said}.") from error
    return {"train": train, "validation": validation, "test": test}


async def change(
    hub: str, wallet: LocalAccount, path: str, body: Mapping[str, Any], method: str = "POST"
) -> dict[str, Any]:
    """Ask for a change, signed in; return what the hub answers. Raises RefusedError or PlatformError."""
    async with httpx.AsyncClient(base_url=hub, timeout=CHANGE_S, trust_env=False, verify=trusted()) as http:
        try:
            await hub_config(http)
            await sign_in(http, wallet)
            found: dict[str, Any] = await call(http, method, path, dict(body))
        except httpx.TransportError as error:
            raise no_hub(hub, error) from error
    return found


def version(hub: str, text: str) -> dict[str, Any]:
    """Return what a hub says of `NS/NAME@N`, or of the newest version; raise DatasetWordsError or PlatformError."""
    name, number = named(text)
    with client_of(hub) as client:
        path = f"/api/sets/{name}" if number is None else f"/api/sets/{name}/versions/{number}"
        found: dict[str, Any] = client.get(path).raise_for_status().json()
    return found


def document(hub: str, said: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of a version that a hub told of."""
    with client_of(hub) as client:
        path = f"/api/sets/{said['name']}/versions/{said['version']}/document"
        return client.get(path).raise_for_status().content


def page(hub: str, *, query: str, task: str, limit: int) -> list[dict[str, Any]]:
    """Return data sets, the newest first."""
    found: list[dict[str, Any]] = []
    asked: dict[str, Any] = {"query": query, "task": task}
    with client_of(hub) as client:
        while len(found) < limit:
            asked["limit"] = min(200, limit - len(found))
            answer = client.get("/api/sets", params=asked).raise_for_status().json()
            found += answer["sets"]
            if answer["next"] is None:
                break
            asked["after"] = answer["next"]
    return found


def lines(said: Mapping[str, Any]) -> Iterator[str]:
    """Say in words what a version is."""
    count, took_s = said["episodes"], said["duration_s"]
    what = f"{count} episode{'' if count == 1 else 's'}, {_took(took_s)}, {said['bytes'] / 1e6:.1f} MB"
    yield f"{said['name']}@{said['version']}  {said['title']}"
    yield f"  {what}; {said['licence']}"
    yield f"  tasks: {listed(one['name'] for one in said['tasks'])}; robots: {_names(said['models'])}"
    change = said["change"]
    yield f"  {change['kind']}{': ' + change['reason'] if change['reason'] else ''}"
    yield f"  sha256 {said['digest']}"


def card_lines(card: Mapping[str, Any]) -> Iterator[str]:
    """Say in words what a card says."""
    rate = card["success_rate"]
    yield f"{card['episodes']} episodes, {card['steps']} steps, {_took(card['duration_s'])}"
    yield f"  success: {'unknown' if rate is None else f'{100 * rate:.1f} %'}"
    for one in card["scores"]:
        yield f"  score by rules {one['rules']}: {100 * one['mean']:.1f} of 100 on average, {one['episodes']} episodes"
    for name in ("tasks", "models", "operators", "drivers", "engines"):
        first = card[name]["first"]
        more = len(first) - 5 + card[name]["others"]
        told = [f"{one['name']} ({one['episodes']})" for one in first[:5]] + ([f"{more} more"] if more > 0 else [])
        yield f"  {name}: {listed(told)}"
    yield f"  trust: {listed(f'{count} {name}' for name, count in card['trust'].items())}"
    for one in card["faults"]:
        yield f"  known fault, in {one['episodes']} episodes: {one['sentence']} ({one['count']} times)"
    if card["unread"]:
        yield f"  could not be read: {listed(card['unread'])}"


def _names(counts: Sequence[Mapping[str, Any]]) -> str:
    return listed(one["name"] or "unknown" for one in counts)


def _took(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
