"""Episodes on their way from `finish` to their score, beside the next drive: signed once all has come, and scored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from armshare.failures import DemoError, HeldError
from armshare.moments import Told, costs_of
from armshare.patience import held, manifest_of, patiently, score_of, silent
from recorder.proof.contribute import Driven, OtherCommandsError, countersign, driven_elsewhere
from teleop.operator.driver import Driver, refusal

Progress = Callable[[str], None]
"""Told of each stage as it begins."""


@dataclass(frozen=True, slots=True)
class Episode:
    """What became of one episode that was submitted."""

    episode: str
    steps: int
    success: bool | None
    score: float
    accepted: bool
    digest: str
    receipt_index: int
    pay: str
    practice: bool
    """Whether it earns nothing because the wallet was not qualified yet."""
    missing: list[str]
    """Which checks of the first drive it did not pass, in words."""
    reasons: list[str] = field(default_factory=list)
    """Why it was not accepted, and what would raise the score, in the hub's words."""
    costs: list[Told] = field(default_factory=list)
    """What was not paid and why, the largest first; none by rules that know no moments, and of an older hub."""
    awaiting_review: bool = False
    """Whether it earns nothing before people have reviewed it: a real robot's."""


@dataclass(frozen=True, slots=True)
class Held:
    """An episode that is signed, and waits until the hub can check it."""

    episode: str
    says: str
    """Why it waits, in a sentence."""


class HandIn:
    """Hands in episodes one after another while the next is driven; on exit it waits for all of them."""

    def __init__(
        self,
        driver: Driver,
        robot: str,
        into: list[Episode],
        tell: Progress = silent,
        unsigned: list[str] | None = None,
        held: list[Held] | None = None,
        scored: Callable[[Episode], None] = lambda _one: None,
    ) -> None:
        """`into` receives the episodes that the hub has scored, `unsigned` those that were interrupted before that.

        `held` receives those that the hub cannot check yet; without it, such a one raises HeldError. `scored` is told
        of each episode as soon as it has its score, whatever is driven meanwhile.
        """
        self._driver, self._robot, self._into, self._tell = driver, robot, into, tell
        self._unsigned, self._held = [] if unsigned is None else unsigned, held
        self._scored = scored
        self._turn = asyncio.Lock()
        self._under_way: list[asyncio.Task[Episode | Held]] = []

    async def __aenter__(self) -> HandIn:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._under_way:
                await asyncio.wait(self._under_way)
            await self.wait()
        finally:
            for task in self._under_way:
                task.cancel()
            left = await asyncio.gather(*self._under_way, return_exceptions=True)
            for one in left:
                self._take(one)
            self._unsigned.extend(task.get_name() for task in self._under_way if task.cancelled())

    @property
    def under_way(self) -> int:
        """How many have been added and not yet waited for."""
        return len(self._under_way)

    def add(self, ended: Mapping[str, Any]) -> None:
        """Hand in an episode, given the hub's `ended` for it, after those before it."""
        self._under_way.append(asyncio.create_task(self._contribute(ended), name=ended["episode"]))

    async def wait(self, *, most: int = 0) -> None:
        """Wait until at most `most` are under way; raise what `contribute` does, of those that are done by then."""
        while self._under_way and (len(self._under_way) > most or self._under_way[0].done()):
            await asyncio.wait(self._under_way[:1])
            self._take(self._under_way.pop(0).result())

    def _take(self, found: Episode | Held | BaseException) -> None:
        if isinstance(found, Episode):
            self._into.append(found)
        elif isinstance(found, Held) and self._held is not None:
            self._held.append(found)

    async def _contribute(self, ended: Mapping[str, Any]) -> Episode | Held:
        async with self._turn:
            try:
                found = await contribute(self._driver, ended, self._robot, self._tell)
            except HeldError as error:
                if self._held is None:
                    raise
                self._tell(str(error))
                return Held(ended["episode"], str(error))
            self._scored(found)
            return found


async def contribute(driver: Driver, ended: Mapping[str, Any], robot: str, tell: Progress = silent) -> Episode:
    """Sign an episode once all of it has arrived, however long that takes; return what the hub made of it."""
    episode = ended["episode"]
    data = await manifest_of(driver.http, episode, tell)
    driven = Driven(episode, driver.wallet.address, robot, driver.task["name"], driver.said.get(episode))
    body = {"signature": _signature(driver, driven, data, tell)}
    answer = await patiently(lambda: driver.http.post(f"/api/episodes/{episode}/signature", json=body), tell)
    if answer.is_error:
        raise refusal(answer)
    verified = answer.json()
    if verified["state"] == "held":
        raise HeldError(held(verified))
    if verified["state"] != "verified":
        raise DemoError(f"{episode} was not verified, it is {verified['state']}: {verified['reason']}")
    score = await score_of(driver.http, episode, tell)
    return Episode(
        episode=episode,
        steps=ended["steps"],
        success=ended["success"],
        score=score["score"],
        accepted=score["accepted"],
        digest=verified["digest"],
        receipt_index=verified["receipt"]["log_index"],
        pay=score["pay"],
        practice=score["practice"] is not None,
        awaiting_review=score.get("awaiting_review", False),
        reasons=list(score["reasons"]),
        costs=costs_of(score),
        missing=[one["sentence"] for one in (score["practice"] or {"checks": []})["checks"] if not one["passed"]],
    )


def _signature(driver: Driver, driven: Driven, data: bytes, tell: Progress) -> str:
    """Sign what the driver drove, if the manifest names the commands that it sent; raise NotOurEpisodeError."""
    if elsewhere := driven_elsewhere(data, driver.sent):
        episode = driven.episode
        if not driver.resumed:
            said = f"{episode} says that it was driven in another lease as well (epoch {elsewhere[0]})"
            raise OtherCommandsError(f"{said}, and it was not. Do not sign it; discard it")
        tell(f"part of {episode} was driven from elsewhere, so what was sent there cannot be compared from here")
    return countersign(data, driven, driver.session_key, driver.domain, driver.sent)
