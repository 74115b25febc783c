"""`armshare drive --unsigned`, `--sign`, `--discard`, `--another-look` and `--withdraw`: decided about later.

Whoever drove it signed with a session key that is gone by now; the wallet that granted it signs instead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from eth_account.signers.local import LocalAccount
from rich.markup import escape

from armshare.client import no_hub
from armshare.failures import EpisodeGoneError
from armshare.moments import costs_of, plain, worst
from armshare.patience import Tell, arrived, held, manifest_of, patiently, score_of
from recorder.proof import manifest as manifests
from recorder.proof.contribute import sign_later
from sim.words import listed
from teleop.dialing import trusted
from teleop.identity import Domain
from teleop.operator.driver import ANSWER_S, call, hub_config, refusal, sign_in

ALL = "all"


@dataclass(slots=True)
class Decided:
    """What became of episodes that were decided about later, filled in as it goes."""

    operator: str
    unsigned: list[dict[str, Any]] | None = None
    """Those that still wait, as the hub lists them; None until it has been asked."""
    signed: list[dict[str, Any]] = field(default_factory=list)
    """The scores of those that were signed."""
    discarded: list[str] = field(default_factory=list)
    withdrawn: list[dict[str, Any]] = field(default_factory=list)
    """Those to which its operator's consent has ended, with the versions of data sets that were made without them."""


async def decide(
    hub: str,
    wallet: LocalAccount,
    decided: Decided,
    sign: Sequence[str],
    discard: Sequence[str],
    tell: Tell,
    look: Sequence[str] = (),
    withdraw: Sequence[str] = (),
    reason: str = "",
) -> None:
    """Discard and sign episodes of a wallet, by their ids or `all`, ask for another `look`, `withdraw` verified ones
    for a `reason`, then list what is left.

    Raises EpisodeGoneError for an id that does not wait for this wallet, PlatformError without a hub, RefusedError.
    """
    async with _client(hub) as http:
        await hub_config(http)
        waiting = await _unsigned(http, wallet)
        if sign or discard or look or withdraw:
            await sign_in(http, wallet)
        for episode in _named(waiting, discard):
            await call(http, "POST", f"/api/episodes/{episode}/discard")
            decided.discarded.append(episode)
        for episode in look:
            if (score := await _look_again(http, episode, tell)) is not None:
                decided.signed.append(score)
        for episode in withdraw:
            path = f"/api/episodes/{episode}/withdraw"
            decided.withdrawn.append(await call(http, "POST", path, {"reason": reason}))
        gone = set(decided.discarded)
        for episode in _named([one for one in waiting if one["episode"] not in gone], sign):
            tell(f"signing {episode}")
            if (score := await _sign(http, wallet, episode, tell)) is not None:
                decided.signed.append(score)
        decided.unsigned = await _unsigned(http, wallet)


def lines(decided: Decided) -> Iterator[str]:
    """Say in words what was decided, and what still waits."""
    yield from (f"discarded {episode}" for episode in decided.discarded)
    for one in decided.withdrawn:
        made = f"; without it there are now {listed(one['sets'])}" if one["sets"] else ""
        yield f"withdrawn  {one['episode']}: no search finds it, and no new version of a data set has it{escape(made)}"
    for one in decided.signed:
        state = "[green]accepted[/green]" if one["accepted"] else "[red]not accepted[/red]"
        yield f"{state}  {one['episode']}  score {one['score']:.3f}"
        costs = costs_of(one)
        said = {cost.sentence for cost in costs}
        reasons = [plain(reason) for reason in one["reasons"] if not one["accepted"]]
        yield from (f"  {escape(reason)}" for reason in reasons if reason not in said)
        yield from (f"  {worst(cost)}" for cost in costs[:1])
    for one in decided.unsigned or ():
        yield f"not signed  {one['episode']}  {one['task']}, {_state(one)}"
    if decided.unsigned == []:
        yield f"nothing that {decided.operator} drove waits for its signature"


def _state(one: dict[str, Any]) -> str:
    if one["state"] != "uploaded":
        return arrived(one["received"], one["length"])
    return f"{one['steps']} steps; --sign or --discard it"


def _named(listed: list[dict[str, Any]], wanted: Sequence[str]) -> list[str]:
    """Return the ids that were asked for, oldest first; raise EpisodeGoneError if one is not among them."""
    waiting = [one["episode"] for one in reversed(listed)]
    if ALL in wanted:
        return waiting
    for episode in wanted:
        if episode not in waiting:
            others = f"These do: {', '.join(waiting)}." if waiting else "Nothing else does."
            raise EpisodeGoneError(f"{episode!r} does not wait for this wallet's signature. {others}")
    return [episode for episode in waiting if episode in wanted]


async def _sign(http: httpx.AsyncClient, wallet: LocalAccount, episode: str, tell: Tell) -> dict[str, Any] | None:
    """Return the score of an episode that is signed; None if it turns out to be invalid, as it is then never signed."""
    config = await call(http, "GET", "/api/config")
    data = await manifest_of(http, episode, tell)
    manifest = manifests.decode(data)
    if not manifest.valid:
        tell(f"{episode} does not count ({manifest.reason.value}), so there is nothing to sign")
        return None
    tell(f"this program did not drive {episode}, so it cannot compare what was recorded with what was sent")
    signature = sign_later(data, episode, wallet, Domain(config["chain_id"], config["vault"]))
    path = f"/api/episodes/{episode}/signature"
    answer = await patiently(lambda: http.post(path, json={"signature": signature}), tell)
    if answer.is_error:
        raise refusal(answer)
    return await _scored(http, answer.json(), tell)


async def _look_again(http: httpx.AsyncClient, episode: str, tell: Tell) -> dict[str, Any] | None:
    """Return the score of a rejected episode that passes when it is looked at again; None if it waits to be checked.

    Raises RefusedError if a gate refuses it again, or if it had its other look before.
    """
    return await _scored(http, await call(http, "POST", f"/api/episodes/{episode}/another-look", {}), tell)


async def _scored(http: httpx.AsyncClient, signed: dict[str, Any], tell: Tell) -> dict[str, Any] | None:
    if signed["state"] == "held":
        tell(held(signed))
        return None
    return await score_of(http, signed["episode"], tell)


async def _unsigned(http: httpx.AsyncClient, wallet: LocalAccount) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await call(http, "GET", f"/api/operators/{wallet.address}/unsigned")
    return found


@asynccontextmanager
async def _client(hub: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=hub, timeout=ANSWER_S, trust_env=False, verify=trusted()) as http:
        try:
            yield http
        except httpx.TransportError as error:
            raise no_hub(hub, error) from error
