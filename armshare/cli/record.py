"""The researcher's command that makes episodes: record."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from armshare.cli.options import AsJson, Checkpoint, of_policy, out, progress_bar
from sim.words import listed

if TYPE_CHECKING:
    from recorder.collect.folder import Made

cli = typer.Typer()
_LISTED: Final = 10


@dataclass(slots=True)
class Collected:
    """What was made of what was asked for, filled in as it goes."""

    folder: str
    robot: str
    task: str
    driver: dict[str, str]
    episodes: int
    """How many are there of those that were asked for."""
    made: int = 0
    succeeded: int = 0
    """Of those that were made now."""
    lost: list[dict[str, str | int]] = field(default_factory=list)
    steps: int = 0
    simulated_s: float = 0.0
    seconds: float = 0.0
    workers: int = 0
    interrupted: bool = False

    @property
    def times_real_time(self) -> float:
        """How many seconds were driven in one."""
        return round(self.simulated_s / self.seconds, 1) if self.seconds else 0.0


@cli.command()
def record(
    target: Annotated[Path, typer.Option("--to", "-o", file_okay=False, help="The folder to make the episodes in.")],
    task_name: Annotated[str, typer.Option("--task", metavar="NAME", help="The task.")],
    robot: Annotated[str, typer.Option(help="The robot; by default the one that the task was made for.")] = "",
    policy: Annotated[str, typer.Option(help="Drive by a policy, module:name; see docs/driving.md.")] = "",
    checkpoint: Checkpoint = None,
    expert: Annotated[bool, typer.Option("--expert", help="Drive by the task's scripted operator.")] = False,
    episodes: Annotated[int, typer.Option(min=1, help="How many episodes: one from each seed.")] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="The first seed. After 999 comes 1000000: those between judge policies.")
    ] = 0,
    key: Annotated[
        Path | None,
        typer.Option(help="The operator's key file; by default one that is made and kept in the folder."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="How many processes; 0 means one for each core, at most 8.")
    ] = 0,
    replay: Annotated[
        bool, typer.Option("--replay/--no-replay", help="Whether an episode counts only once it has been replayed.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Make signed episodes of a simulated robot as fast as the processors allow, without a hub.

    Each is marked as made by a script or a policy, scored, and replayed to the last bit before it counts. Run the
    same command again to make what is missing. Ctrl-C leaves only complete episodes.

    Exit codes: 0 all of them are there; 1 some are not: they were lost, or Ctrl-C came; 2 it could not go on.
    """
    from recorder.collect.crew import Job, collect
    from recorder.collect.folder import Folder
    from rewards.score.kept import keep_score
    from rewards.score.versions import NEWEST
    from sim.catalogue import task
    from sim.processes import WORKERS
    from sim.seeds import data_seeds

    file = of_policy(checkpoint, policy)
    made = _made(robot or task(task_name).robots[0], task_name, policy, file, expert=expert)
    folder = Folder(target)
    done = Collected(str(target), made.robot, made.task, _said(made), 0, workers=workers or WORKERS)
    own = key and key.resolve()
    job = Job(made, target.resolve(), policy, own, replay, after=keep_score, checkpoint=file, rules=NEWEST)
    begun = time.perf_counter()
    with folder.held(made), progress_bar() as progress:
        seeds = list(islice(data_seeds(seed), episodes))
        missing = [one for one in seeds if not folder.has(folder.name_of(made, one))]
        shown = progress.add_task("recording", total=episodes, completed=episodes - len(missing))
        try:
            for one in collect(job, missing, min(done.workers, max(len(missing), 1))):
                done.seconds = time.perf_counter() - begun
                _count(done, one.seed, one.steps, one.seconds, one.success, one.lost)
                progress.update(shown, advance=1, description=f"{done.times_real_time:.0f} times real time")
        except KeyboardInterrupt:
            done.interrupted = True
        done.episodes = sum(folder.has(folder.name_of(made, one)) for one in seeds)
    if as_json:
        print(json.dumps({**asdict(done), "asked": episodes, "times_real_time": done.times_real_time}))
    else:
        _tell(done, episodes)
    if done.episodes < episodes:
        raise typer.Exit(1)


def _made(robot: str, task_name: str, policy: str, checkpoint: Path | None, *, expert: bool) -> Made:
    """Return what is to be made; raise UnknownRobotError, UnknownTaskError or UnknownPolicyError."""
    from recorder.collect.folder import Made
    from sim.catalogue import require_pair
    from teleop.operator.pilot import expert_said
    from teleop.operator.policy import said

    if bool(policy) == expert:
        raise typer.BadParameter(f"say who drives: {listed(['--policy', '--expert'], 'or')}, and not both")
    require_pair(robot, task_name)
    return Made(robot, task_name, said(policy, checkpoint) if policy else expert_said({"model": robot}, task_name))


def _said(made: Made) -> dict[str, str]:
    driver = made.driver
    return {"kind": driver.kind.value, "name": driver.name, "sha256": driver.sha256}


def _count(done: Collected, seed: int, steps: int, seconds: float, success: bool, lost: str) -> None:
    if lost:
        done.lost.append({"seed": seed, "why": lost})
        return
    done.made, done.succeeded = done.made + 1, done.succeeded + success
    done.steps, done.simulated_s = done.steps + steps, done.simulated_s + seconds


def _tell(done: Collected, asked: int) -> None:
    """Say in words what was made."""
    rate = f", {done.simulated_s:.0f} s of driving in {done.seconds:.0f} s" if done.made else ""
    episodes = "episode" if done.made == 1 else "episodes"
    out.print(f"{done.made} {episodes} made, {done.succeeded} succeeded{rate}", highlight=False)
    for one in done.lost[:_LISTED]:
        out.print(f"lost seed {one['seed']}: {escape(str(one['why']))}", highlight=False, soft_wrap=True)
    if len(done.lost) > _LISTED:
        out.print(f"and {len(done.lost) - _LISTED} more; --json lists them", highlight=False)
    goes_on = "" if done.episodes == asked else "; run the same command again to make the rest"
    out.print(f"{done.episodes} of {asked} are in {done.folder}{goes_on}", highlight=False, soft_wrap=True)
