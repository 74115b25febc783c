"""`armshare episodes --mine`: what a wallet drove, and, signed in, what it has withdrawn, which no search finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
from eth_account.signers.local import LocalAccount

from armshare.client import no_hub
from teleop.dialing import trusted
from teleop.operator.driver import ANSWER_S, call, hub_config, sign_in

_PAGE: Final = 200


async def withdrawn(hub: str, wallet: LocalAccount, limit: int) -> dict[str, Any]:
    """Return at most `limit` episodes that a wallet has withdrawn, the last one first; `next` is None after the end.

    Raises RefusedError or PlatformError.
    """
    found: dict[str, Any] = {"episodes": [], "next": ""}
    async with httpx.AsyncClient(base_url=hub, timeout=ANSWER_S, trust_env=False, verify=trusted()) as http:
        try:
            await hub_config(http)
            await sign_in(http, wallet)
            while found["next"] is not None and (left := limit - len(found["episodes"])) > 0:
                asked = {"limit": str(min(_PAGE, left))} | ({"after": found["next"]} if found["next"] else {})
                url = httpx.URL(f"/api/operators/{wallet.address}/withdrawn", params=asked)
                page = await call(http, "GET", str(url))
                found = {"episodes": [*found["episodes"], *page["episodes"]], "next": page["next"]}
        except httpx.TransportError as error:
            raise no_hub(hub, error) from error
    return found


def said(found: Mapping[str, Any], wallet: LocalAccount) -> Iterator[str]:
    """Say how many there are, and what that means."""
    shown = len(found["episodes"])
    if not shown:
        yield f"{wallet.address} has withdrawn no episodes"
        return
    if shown == 1 and not found["next"]:
        yield "1 withdrawn episode: no search finds it, and no new version of a data set has it"
        return
    many = f"{shown:,} withdrawn episodes{' and more' if found['next'] else ''}"
    yield f"{many}: no search finds them, and no new version of a data set has them"
