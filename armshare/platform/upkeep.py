"""What a hub does beside its requests: again and again, or once after it has started. No failure of it ends the hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from recorder.hub.erasing import Erasing
from recorder.hub.intake import Intake
from recorder.hub.store.opening import Opened
from recorder.hub.uploads import Uploads
from recorder.proof.case import Ticket
from rewards.hub.datasets.cards import LOOK_EVERY_S, Cards
from rewards.hub.datasets.consent import Consent
from rewards.hub.exports.renewing import EVERY_S as RENEW_S
from teleop.clock import now_ms
from teleop.hub.hub import Hub

EXPIRY_S: Final = 1.0
CHECK_HELD_S: Final = 5.0
SWEEP_S: Final = 3600.0
UPLOAD_KEPT_MS: Final = 7 * 24 * 3_600_000
"""How long an upload that nobody continues is kept."""
Call = Callable[[], Awaitable[None]]
Mine = Callable[[], bool]
"""Whether it is this hub that does what only one of several may."""
_log = structlog.get_logger()


@asynccontextmanager
async def expiring(
    hub: Hub, uploads: Uploads, erasing: Erasing, sweep_exports: Call, mine: Mine = lambda: True
) -> AsyncIterator[None]:
    """End leases that ran out while others wait, uploads that nobody continues, and files that nobody keeps.

    On exit, end every lease.
    """

    async def expire_leases() -> None:
        hub.expire()

    async def expire_uploads() -> None:
        if mine():
            await asyncio.to_thread(uploads.expire, now_ms() - UPLOAD_KEPT_MS)

    async def erase() -> None:
        if mine():
            await asyncio.to_thread(erasing.sweep)

    async def sweep() -> None:
        if mine():
            await sweep_exports()

    async with hub:
        calls = {
            "expiry of leases": again_and_again(expire_leases, EXPIRY_S),
            "expiry of uploads": again_and_again(expire_uploads, SWEEP_S),
            "erasing": again_and_again(erase, SWEEP_S),
            "erasing exports": again_and_again(sweep, SWEEP_S),
        }
        async with _beside(calls):
            yield


@asynccontextmanager
async def checking(
    intake: Intake, ticket_of: Callable[[str], Ticket | None], mine: Mine = lambda: True
) -> AsyncIterator[None]:
    """Check again what could not be checked: all of it now, as what kept it may have changed, then what is due."""
    due = False

    async def check_held() -> None:
        nonlocal due
        if not mine():
            return
        await intake.check_held(ticket_of, due=due)
        due = True

    async with _beside({"checks of held episodes": again_and_again(check_held, CHECK_HELD_S)}):
        yield


@asynccontextmanager
async def remembering(intake: Intake, mine: Mine = lambda: True) -> AsyncIterator[None]:
    """Read the motions of episodes that an earlier release verified, once, beside everything else."""

    async def keep_motions() -> None:
        try:
            if mine():
                await intake.keep_motions()
        except Exception:  # noqa: BLE001  a supervisor: it is reported, and the hub goes on
            _log.exception("motions of earlier episodes were not read; that is tried again at the next start")

    async with _beside({"motions of earlier episodes": keep_motions()}):
        yield


@asynccontextmanager
async def moving(files: Opened, mine: Mine = lambda: True) -> AsyncIterator[None]:
    """Move files that are in the folder into the bucket, if there is one, once, beside everything else."""

    async def move_in() -> None:
        try:
            if mine() and (moved := await asyncio.to_thread(files.move_in)):
                _log.info("what was in the folder is in the bucket now", episodes=moved)
        except Exception:  # noqa: BLE001  a supervisor: it is reported, and what is left is read where it is
            _log.exception("not all files are in the bucket yet; that is tried again at the next start")

    async with _beside({"move of files into the bucket": move_in()}):
        yield


@asynccontextmanager
async def keeping_sets(consent: Consent, cards: Cards, mine: Mine = lambda: True) -> AsyncIterator[None]:
    """Make the versions that a crash left unmade when an operator's consent ended, and the cards of all versions."""

    async def end_consents() -> None:
        if not mine():
            return
        if await asyncio.to_thread(consent.finish):
            cards.wake()

    calls = {"ends of consent": again_and_again(end_consents, LOOK_EVERY_S), "cards of data sets": cards.run()}
    async with _beside(calls):
        yield


@asynccontextmanager
async def renewing(renew: Call, mine: Mine = lambda: True) -> AsyncIterator[None]:
    """Release what takes the place of releases whose operators' consent has ended."""

    async def renew_here() -> None:
        if mine():
            await renew()

    async with _beside({"releases in the place of others": again_and_again(renew_here, RENEW_S)}):
        yield


async def again_and_again(
    call: Call, pause_s: float, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Call it now, and after each pause, until cancelled; an error is logged and the calls go on."""
    while True:
        try:
            await call()
        except Exception:  # noqa: BLE001  a supervisor: it is reported, and the next call comes
            _log.exception(
                "a periodic call failed; it is made again",
                call=getattr(call, "__qualname__", repr(call)),
                after_s=pause_s,
            )
        await pause(pause_s)


@asynccontextmanager
async def _beside(calls: dict[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run these, by their names, until the block ends; then cancel what is left of them."""
    tasks = [asyncio.create_task(call, name=name) for name, call in calls.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
