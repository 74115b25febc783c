"""`armshare drive`: an operator in a terminal signs in, queues, drives by any pilot, signs and submits the episodes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import httpx
from eth_account.signers.local import LocalAccount
from platformdirs import user_data_path
from rich.markup import escape
from websockets.exceptions import WebSocketException

from armshare.client import no_hub, one_of
from armshare.failures import DemoError, DoorError, HeldError, PlatformError
from armshare.patience import held, manifest_of, patiently, score_of, silent, uncheckable
from armshare.researcher import episode_in
from recorder.file.episode import Episode as Recording
from recorder.proof.contribute import Driven, OtherCommandsError, countersign, driven_elsewhere
from sim.motion.control import Joints
from sim.words import listed
from teleop.clock import monotonic_ms
from teleop.identity import KeyContentError, load_key
from teleop.operator import pilot
from teleop.operator import policy as policies
from teleop.operator.driver import SESSION_MS, Driver, RefusedError, refusal
from teleop.operator.first_drive import FirstDrive
from teleop.operator.gamepad import GamepadPilot, opened
from teleop.operator.pilot import Answer, Ask, Crew, Descriptor, Flight, Pilot, PilotMaker, Values
from teleop.operator.policy import load
from teleop.operator.program import script
from teleop.operator.takeover import Takeover
from teleop.wire.driver import PERSON
from teleop.wire.messages import Safety, State

RENEW_MS: Final = 600_000
"""No episode is begun this close to the end of its grant: one that outlives its grant is refused."""
EXPERTS: Final = Crew(pilot.expert, pilot.expert_said)
"""Each task's own scripted operator."""
_SETTLE_STATES: Final = 20
"""How many states the last row of a recorded episode is held for, so that the robot can get there."""


class KeyFileError(DoorError):
    """A wallet's key file cannot be used."""


class NoSuchRobotError(DoorError):
    """No robot has that name, or none can be driven."""


class TaskNotOfferedError(DoorError):
    """The robot does not offer the task."""


class OtherRobotError(DoorError):
    """A recorded episode is of another kind of robot."""


class EpisodeLostError(DoorError):
    """An episode ended in a way that does not count."""


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
    awaiting_review: bool = False
    """Whether it earns nothing before people have reviewed it: a real robot's."""


@dataclass(frozen=True, slots=True)
class Held:
    """An episode that is signed, and waits until the hub can check it."""

    episode: str
    says: str
    """Why it waits, in a sentence."""


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


Progress = Callable[[str], None]
"""Told of each stage as it begins."""


async def drive(url: str, wallet: LocalAccount, outcome: Outcome, crew: Crew, tell: Progress) -> None:
    """Drive `outcome.asked` episodes with a robot and a task, which `outcome` names or leaves open.

    However it ends (by an error or cancellation too), the dead-man is released and the robot given back first: an
    episode that is being driven then ends as `left`, which is invalid and never scored.
    """
    while outcome.left and not outcome.interrupted:
        await _session(url, wallet, outcome, crew, tell)


def _episode_ms(driver: Driver) -> int:
    """Return how long the next episode may take."""
    return int(driver.task["max_steps"] / driver.robot["control_hz"] * 1000)


async def _session(url: str, wallet: LocalAccount, outcome: Outcome, crew: Crew, tell: Progress) -> None:
    """Drive under one grant until every episode is driven or the grant is about to end."""
    async with signed_in(url, wallet) as driver:
        if outcome.qualifying and (await driver.call("GET", f"/api/operators/{wallet.address}"))["qualified"]:
            tell("this wallet has qualified already: what it drives is paid")
            outcome.asked = len(outcome.episodes)
            return
        robot = await _choose(driver, outcome)
        renew_ms = monotonic_ms() + SESSION_MS - RENEW_MS
        try:
            async with HandIn(driver, outcome.robot, outcome.episodes, tell, outcome.unsigned, outcome.held) as handing:
                try:
                    await driver.join(outcome.robot, outcome.task, queued=lambda *place: tell(_queued(robot, *place)))
                    if driver.unchecked is not None:
                        tell(uncheckable(driver.unchecked))
                    await _one(driver, crew, outcome, handing, tell)
                    while outcome.left > handing.under_way and monotonic_ms() < renew_ms - _episode_ms(driver):
                        await _one(driver, crew, outcome, handing, tell)
                except asyncio.CancelledError:
                    outcome.interrupted = True
                finally:
                    with contextlib.suppress(RefusedError):  # the lease may be over, or the hub gone
                        await driver.leave()
        except asyncio.CancelledError:
            outcome.interrupted = True


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


@contextlib.contextmanager
def crewed(
    *, policy: str, expert: bool, episode: Path | None, gamepad: Path | None, first_drive: bool
) -> Iterator[Crew]:
    """Yield who drives: a program (a policy, the expert, a recorded episode, the first drive), a person, or both.

    A gamepad beside a program is for a person who takes over from it.
    """
    program = _program(policy, episode, expert=expert, first_drive=first_drive)
    if gamepad is None:
        if program is None:
            raise PlatformError("Nobody drives: name a policy, an episode, a gamepad, the expert or the first drive.")
        yield program
        return
    with opened(gamepad) as device:

        def person(robot: Descriptor, _task: str) -> GamepadPilot:
            return GamepadPilot(device, robot)

        if program is None:
            yield Crew(person, lambda _robot, _task: PERSON)
        else:
            make, said = program.make, program.said
            yield Crew(lambda robot, task: Takeover(make(robot, task), person(robot, task)), said)


def _program(policy: str, episode: Path | None, *, expert: bool, first_drive: bool) -> Crew | None:
    if first_drive:
        return Crew(FirstDrive, lambda _robot, _task: script(FirstDrive))
    if episode is not None:
        return Crew(recorded(episode), lambda _robot, _task: script(RecordingPilot))
    if policy:
        make, said = load(policy), policies.said(policy)
        return Crew(make, lambda _robot, _task: said)
    return EXPERTS if expert else None


def lines(outcome: Outcome) -> Iterator[str]:
    """Say in words what became of each episode."""
    for one in outcome.episodes:
        done = {True: "success", False: "no success", None: "success unknown"}[one.success]
        done_for = "accepted" if one.accepted else "passed"
        state = f"[green]{done_for}[/green]" if outcome.served(one) else "[red]not accepted[/red]"
        said = f"{one.steps} steps, {done}, score {one.score:.3f}, receipt {one.receipt_index}"
        yield f"{state}  {one.episode}  {said}"
        if one.practice:
            yield "  " + _practised(one)
        elif not one.accepted:
            yield from (f"  {escape(reason)}" for reason in one.reasons)
        if one.awaiting_review:
            yield "  awaiting review: a real robot's episode is paid only after people have reviewed it"
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


async def _one(driver: Driver, crew: Crew, outcome: Outcome, handing: HandIn, tell: Progress) -> None:
    await handing.wait(most=1)
    number = outcome.asked - outcome.left + handing.under_way + 1
    tell(f"episode {number} of {outcome.asked}: driving {driver.robot['name']}, {driver.task['instruction']}")
    flight = await pilot.fly(driver, crew.make, crew.said(driver.robot, driver.task["name"]))
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
    ) -> None:
        """`into` receives the episodes that the hub has scored, `unsigned` those that were interrupted before that.

        `held` receives those that the hub cannot check yet; without it, such a one raises HeldError.
        """
        self._driver, self._robot, self._into, self._tell = driver, robot, into, tell
        self._unsigned, self._held = [] if unsigned is None else unsigned, held
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
        """Wait until at most `most` are under way; raise what `contribute` does."""
        while len(self._under_way) > most:
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
                return await contribute(self._driver, ended, self._robot, self._tell)
            except HeldError as error:
                if self._held is None:
                    raise
                self._tell(str(error))
                return Held(ended["episode"], str(error))


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


class RecordingPilot:
    """Asks for the joint targets that a recorded episode's robot was given, one row for each of the robot's periods."""

    def __init__(self, recording: Recording, robot: Descriptor) -> None:
        joints, hands = recording.applied_joint_position.shape[1], recording.applied_gripper.shape[1]
        here = robot["model"], len(robot["joint_names"]), len(robot["end_effectors"])
        if (recording.meta.robot.model, joints, hands) != here:
            said = "This robot is a {} ({} joints, {} hands), and the episode is of a {} ({} joints, {} hands)."
            told = said.format(*here, recording.meta.robot.model, joints, hands)
            raise OtherRobotError(f"{told} Name a robot of the same model with --robot.")
        self._joints, self._gripper = recording.applied_joint_position, recording.applied_gripper
        self._row, self._last_seq = 0, 0

    def act(self, state: State, _values: Values) -> Answer:
        """Return the row that is due: rows advance with the robot's own periods, and not while it does not drive."""
        if state.safety is Safety.DRIVING and self._last_seq:
            self._row += state.seq - self._last_seq
        self._last_seq = state.seq
        last = len(self._joints) - 1
        if self._row > last + _SETTLE_STATES:
            return Ask.FINISH
        row = min(self._row, last)
        return Joints(self._joints[row], self._gripper[row])


def task_of(folder: Path | None) -> str:
    """Return the task of the episode in `folder`, empty if none is given; raise an EpisodeError."""
    return "" if folder is None else episode_in(folder).meta.task.name


def recorded(folder: Path) -> PilotMaker:
    """Return what re-drives the episode in `folder`; raise an EpisodeError if there is none."""
    recording = episode_in(folder)

    def make(robot: Descriptor, _task: str) -> Pilot:
        return RecordingPilot(recording, robot)

    return make
