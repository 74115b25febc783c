"""`armshare drive`: an operator in a terminal signs in, queues, drives by any pilot, signs and submits the episodes.

Who drives is in `crews.py`, and what becomes of what was driven in `handing.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from eth_account.signers.local import LocalAccount
from platformdirs import user_data_path
from rich.markup import escape
from websockets.exceptions import WebSocketException

from armshare.client import no_hub, one_of
from armshare.failures import DemoError, DoorError, PlatformError
from armshare.moments import plain, worst
from armshare.operator.handing import Episode, HandIn, Held, Progress
from armshare.patience import uncheckable
from sim.words import listed
from teleop.clock import monotonic_ms
from teleop.identity import KeyContentError, load_key
from teleop.operator import pilot
from teleop.operator.camera_words import words_of
from teleop.operator.driver import SESSION_MS, Driver, RefusedError
from teleop.operator.pilot import Crew, Flight, PilotMaker, Word

RENEW_MS: Final = 600_000
"""No episode is begun this close to the end of its grant: one that outlives its grant is refused."""
AHEAD: Final = 8
"""How many driven episodes may wait for their score: a hub or an uplink that is slow for a while holds up no drive."""


class KeyFileError(DoorError):
    """A wallet's key file cannot be used."""


class NoSuchRobotError(DoorError):
    """No robot has that name, or none can be driven."""


class TaskNotOfferedError(DoorError):
    """The robot does not offer the task."""


class EpisodeLostError(DoorError):
    """An episode ended in a way that does not count."""


@dataclass(slots=True)
class Outcome:
    """The result of a drive, filled in as it goes, so that what was done is known however it ends."""

    operator: str
    robot: str = ""
    task: str = ""
    asked: int = 1
    episodes: list[Episode] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    """Those that are signed, and that the hub cannot check yet: it checks them again by itself."""
    unsigned: list[str] = field(default_factory=list)
    """Those that were driven and not signed, because it was interrupted; they can be signed later."""
    cameras: dict[str, list[str]] = field(default_factory=dict)
    """By episode: what was wrong with the pictures that its robot's cameras recorded, in sentences."""
    expiries: int = 0
    """How often the robot expired during the drive because no fresh command came."""
    interrupted: bool = False
    qualifying: bool = False
    """Whether the checks of the first drive are what it is for, not the task."""

    @property
    def left(self) -> int:
        """How many are still to be driven."""
        return self.asked - len(self.episodes) - len(self.held) - len(self.discarded)

    @property
    def complete(self) -> bool:
        """Whether every episode that was asked for has done what it was for."""
        return len(self.episodes) == self.asked and all(map(self.served, self.episodes))

    def served(self, one: Episode) -> bool:
        """Whether an episode was accepted or, if the drive is for qualifying, passed every check of the first drive."""
        return one.accepted or (self.qualifying and one.practice and not one.missing)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


async def drive(
    url: str,
    wallet: LocalAccount,
    outcome: Outcome,
    crew: Crew,
    tell: Progress,
    scored: Callable[[Episode], None] = lambda _one: None,
    word: Word | None = None,
) -> None:
    """Drive `outcome.asked` episodes with a robot and a task, which `outcome` names or leaves open.

    Each is sealed, sent, signed, verified and scored while the next ones are driven; `scored` is told of each then.

    However it ends (by an error or cancellation too), the dead-man is released and the robot given back first: an
    episode that is being driven then ends as `left`, which is invalid and never scored.
    """
    while outcome.left and not outcome.interrupted:
        await _session(url, wallet, outcome, crew, tell, scored, word)


def _episode_ms(driver: Driver) -> int:
    """Return how long the next episode may take."""
    return int(driver.task["max_steps"] / driver.robot["control_hz"] * 1000)


async def _session(
    url: str,
    wallet: LocalAccount,
    outcome: Outcome,
    crew: Crew,
    tell: Progress,
    scored: Callable[[Episode], None],
    word: Word | None,
) -> None:
    """Drive under one grant until every episode is driven or the grant is about to end."""
    async with signed_in(url, wallet) as driver:
        if outcome.qualifying and (await driver.call("GET", f"/api/operators/{wallet.address}"))["qualified"]:
            tell("this wallet has qualified already: what it drives is paid")
            outcome.asked = len(outcome.episodes)
            return
        driver.camera_told = lambda message: _camera_told(driver, outcome, message, tell)
        robot = await _choose(driver, outcome)
        if robot.get("private", False):
            tell(f"{robot['name']} is private: you, its owner and those whom they name can read what you drive")
        renew_ms = monotonic_ms() + SESSION_MS - RENEW_MS
        try:
            into = outcome.episodes, tell, outcome.unsigned, outcome.held, scored
            async with HandIn(driver, outcome.robot, *into) as handing:
                try:
                    await driver.join(outcome.robot, outcome.task, queued=lambda *place: tell(_queued(robot, *place)))
                    if driver.unchecked is not None:
                        tell(uncheckable(driver.unchecked))
                    await _one(driver, crew, outcome, handing, tell, word)
                    while outcome.left > handing.under_way and monotonic_ms() < renew_ms - _episode_ms(driver):
                        await _one(driver, crew, outcome, handing, tell, word)
                except asyncio.CancelledError:
                    outcome.interrupted = True
                finally:
                    with contextlib.suppress(RefusedError):  # the lease may be over, or the hub gone
                        await driver.leave()
        except asyncio.CancelledError:
            outcome.interrupted = True


def _camera_told(driver: Driver, outcome: Outcome, message: dict[str, Any], tell: Progress) -> None:
    """Tell of a camera that fails, or is well again; what became of it is in the outcome."""
    episode = message["episode"]
    outcome.cameras[episode] = [words_of(one) for one in driver.cameras[episode].values()]
    tell(words_of(message))


def run(driving: Coroutine[Any, Any, None]) -> None:
    """Run `drive` until its end. Ctrl-C and SIGTERM cancel it, so that it leaves in order; a second Ctrl-C aborts."""

    async def cancellable() -> None:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await driving

    asyncio.run(cancellable())


@contextlib.asynccontextmanager
async def signed_in(url: str, wallet: LocalAccount) -> AsyncIterator[Driver]:
    """Yield an operator's connection; raise PlatformError if there is no hub."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            driver = await stack.enter_async_context(Driver(url, wallet))
        except (httpx.TransportError, WebSocketException, OSError) as error:
            raise no_hub(url, error) from error
        yield driver


def lines(outcome: Outcome) -> Iterator[str]:
    """Say in words what became of each episode."""
    for one in outcome.episodes:
        yield from lines_of(outcome, one)
    yield from lines_of_others(outcome)


def lines_of(outcome: Outcome, one: Episode) -> Iterator[str]:
    """Say in words what became of one episode that has its score."""
    done = {True: "success", False: "no success", None: "success unknown"}[one.success]
    done_for = "accepted" if one.accepted else "passed"
    state = f"[green]{done_for}[/green]" if outcome.served(one) else "[red]not accepted[/red]"
    said = f"{one.steps} steps, {done}, score {one.score:.3f}, receipt {one.receipt_index}"
    yield f"{state}  {one.episode}  {said}"
    yield from (f"  [yellow]camera[/yellow]  {escape(said)}" for said in outcome.cameras.get(one.episode, ()))
    if one.practice:
        yield "  " + _practised(one)
    elif not one.accepted:
        costly = {cost.sentence for cost in one.costs}
        yield from (f"  {escape(plain(reason))}" for reason in one.reasons if plain(reason) not in costly)
    if one.costs and not outcome.qualifying:
        yield f"  {worst(one.costs[0])}"
    if one.awaiting_review:
        yield "  awaiting review: a real robot's episode is paid only after people have reviewed it"


def lines_of_others(outcome: Outcome) -> Iterator[str]:
    """Say in words what became of those that have no score."""
    yield from (f"[yellow]waits[/yellow]  {escape(one.says)}" for one in outcome.held)
    yield from (f"discarded {episode}" for episode in outcome.discarded)
    for episode in outcome.unsigned:
        yield f"not signed  {episode}  sign it with `armshare drive --sign {episode}`, or --discard it"
    if outcome.interrupted:
        yield "interrupted: the robot was given back; an episode that was being driven is kept as invalid, not scored"


def _practised(one: Episode) -> str:
    if one.missing:
        return f"practice, not paid, and not qualified yet: {' '.join(one.missing)}"
    return "practice, not paid: every check of the first drive passed, and what is accepted from now on is paid"


async def _choose(driver: Driver, outcome: Outcome) -> dict[str, Any]:
    """Return the robot's card and settle robot and task; raise NoSuchRobotError or TaskNotOfferedError."""
    cards = await driver.call("GET", "/api/robots")
    robot = _named(cards, outcome.robot) if outcome.robot else _open(cards, outcome.task)
    offered = [task["name"] for task in robot["tasks"]]
    if not offered or (outcome.task and outcome.task not in offered):
        what = (
            f"There is no task {outcome.task!r} for {robot['name']}." if outcome.task else f"{robot['name']} is there."
        )
        raise TaskNotOfferedError(f"{what} It offers {listed(offered)}.")
    outcome.robot, outcome.task = robot["robot"], outcome.task or offered[0]
    return robot


def _named(cards: list[dict[str, Any]], robot: str) -> dict[str, Any]:
    try:
        found = one_of(cards, robot)
    except PlatformError as error:
        raise NoSuchRobotError(str(error)) from error
    if not found["online"]:
        raise NoSuchRobotError(
            f"{robot} is offline. It can be driven once its host runs; `armshare robots` lists others."
        )
    return found


def _open(cards: list[dict[str, Any]], task: str) -> dict[str, Any]:
    """Return the robot with the shortest wait."""
    able = [one for one in cards if one["online"] and task in ("", *(other["name"] for other in one["tasks"]))]
    able = [one for one in able if one["tasks"] and not one["estopped"] and not one.get("fault")]
    if not able:
        what = f"offers {task}" if task else "can be driven"
        raise NoSuchRobotError(f"No robot that {what} is online now. `armshare robots` says how each is.")
    return min(able, key=lambda one: (one["state"] != "free", one["queue_length"]))


def _queued(robot: dict[str, Any], position: int, length: int, wait_s: int) -> str:
    return f"queued for {robot['name']}: position {position} of {length}, probably {wait_s} s"


async def _one(
    driver: Driver, crew: Crew, outcome: Outcome, handing: HandIn, tell: Progress, word: Word | None
) -> None:
    await handing.wait(most=AHEAD)
    number = outcome.asked - outcome.left + handing.under_way + 1
    tell(f"episode {number} of {outcome.asked}: driving {driver.robot['name']}, {driver.task['instruction']}")
    flight = await pilot.fly(driver, crew.make, crew.said(driver.robot, driver.task["name"]), word)
    outcome.expiries += flight.expiries
    episode = _counting(flight)
    if flight.discard:
        await driver.call("POST", f"/api/episodes/{episode}/discard")
        outcome.discarded.append(episode)
        tell(f"episode {number} of {outcome.asked}: discarded {episode}")
        return
    tell(f"episode {number} of {outcome.asked}: signing, verifying, scoring")
    handing.add(flight.ended)


def _counting(flight: Flight) -> str:
    """Return the id of the episode; raise EpisodeLostError if there is none, or it does not count."""
    ended = flight.ended
    if ended["episode"] is None:
        raise EpisodeLostError("Nothing was recorded: the robot was never driven. Hold the dead-man while you drive.")
    if not ended["valid"]:
        ending = f"{ended['episode']} ended before it was finished ({ended['reason']}, after {ended['steps']} steps)."
        raise EpisodeLostError(f"{ending} It is kept, and neither scored nor paid; drive another.")
    return str(ended["episode"])


async def drive_once(driver: Driver, robot: str, make: PilotMaker = pilot.expert) -> dict[str, Any]:
    """Drive one episode with a pilot, which sees only what is on the wire; return `ended`."""
    ended = dict((await pilot.fly(driver, make)).ended)
    if not ended["valid"]:
        why = f"it ended as {ended['reason']} after {ended['steps']} steps"
        raise DemoError(f"An episode of {robot} does not count: {why}. Try again; if it stays so, look into the log.")
    return ended


def own_key_file() -> Path:
    """Return where this user's wallet is kept unless another place is named."""
    return user_data_path("armshare") / "operator.key"


def wallet_in(path: Path) -> LocalAccount:
    """Return the wallet whose key is in `path`, made if missing; raise KeyFileError if others may read it."""
    try:
        key = load_key(path)
        mode = path.stat().st_mode
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be used as a key file: {error.strerror}. Name another with --key."
        ) from error
    except KeyContentError as error:
        raise KeyFileError(f"{error}, or name another file with --key.") from error
    if mode & 0o077:
        raise KeyFileError(f"Others can read the key in {path}. Make it yours alone: chmod 600 {path}")
    return key
