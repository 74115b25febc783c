"""`armshare export` of folders of episodes: what it asks a hub, and what it takes from the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx

from recorder.proof.manifest import Manifest


def gone_at(client: httpx.Client) -> Callable[[Manifest], str]:
    """Return a check that asks a hub whether it still gives an episode out."""

    def gone(manifest: Manifest) -> str:
        answer = client.get(f"/api/episodes/{manifest.episode}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return "the hub has no such episode"
        state = str(answer.raise_for_status().json()["state"])
        return "" if state == "verified" else f"the hub no longer gives it out: it is {state}"

    return gone


def cameras_of(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return which cameras are meant; None for all that were recorded."""
    return tuple(given) if given else None
