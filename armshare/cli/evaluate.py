"""The researcher's command that judges a policy: evaluate."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.markup import escape
from rich.progress import Progress

from armshare.cli.options import AsJson, Checkpoint, err, out, progress_bar, size_of
from armshare.failures import PlatformError
from sim.seeds import JUDGING, SEED_MAX
from sim.words import listed

if TYPE_CHECKING:
    from sim.evaluate import Episode, Job

cli = typer.Typer()
_MOST: Final = 100_000
_LISTED: Final = 20


def seeds_of(said: str) -> tuple[int, ...]:
    """Return the seeds of `1000:1020`, `1007` or `1000:1010,1050`, each once, in order; raise BadParameter."""
    found: dict[int, None] = {}
    for part in said.split(","):
        match = re.fullmatch(r"\s*(\d{1,15})(?::(\d{1,15}))?\s*", part)
        first = int(match[1]) if match else 0
        stop = int(match[2] or first + 1) if match else 0
        if match is None or not first < stop <= SEED_MAX:
            raise typer.BadParameter(
                f"{part!r} is not a range of seeds: write FIRST:STOP, such as 1000:1020 for 1000 to 1019; several with "
                "commas",
                param_hint="--seeds",
            )
        if stop - first <= _MOST:
            found |= dict.fromkeys(range(first, stop))
        if stop - first > _MOST or len(found) > _MOST:
            raise typer.BadParameter(f"too many seeds: name at most {_MOST:,}", param_hint="--seeds")
    return tuple(found)


@cli.command()
def evaluate(
    policy: Annotated[
        str, typer.Option(metavar="MODULE:NAME", help="The policy; see docs/gymnasium.md.", show_default=False)
    ],
    env: Annotated[
        str, typer.Option(metavar="ID", help="The environment, such as armshare/Lift-Panda-v0.", show_default=False)
    ],
    seeds: Annotated[
        str, typer.Option(metavar="FIRST:STOP", help="Seeds to judge by, from 1000 on; STOP is not among them.")
    ] = f"{JUDGING.start}:{JUDGING.start + 50}",
    control: Annotated[str, typer.Option(help="What the policy's actions are; see docs/gymnasium.md.")] = "ee_twist",
    checkpoint: Checkpoint = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="The longest episode; by default the task's own limit.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="How many processes; 0 means one for each core, at most 8.")
    ] = 0,
    videos: Annotated[
        Path | None, typer.Option(metavar="FOLDER", file_okay=False, help="Write a video of each episode there.")
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A camera that the policy sees with; may be repeated. NAME_depth is its depth. Videos are of the "
            "first one, by default of front.",
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="WIDTHxHEIGHT", help="Of what the policy sees; by default 640x480.")
    ] = "",
    at_least: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Exit with 1 if the success rate is below this.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Let a policy do a task from each seed, and print how often it succeeds, with a 95 % interval.

    The physics, the limits and the rate are those in which people drive. An episode whose physics became unstable does
    not count, and is listed. Seeds of data are for training: judging by them is possible, with a warning.

    Exit codes: 0 done; 1 fewer than --at-least succeeded, none counts, or Ctrl-C came; 2 it could not go on.
    """
    from sim.evaluate import Job, environment_named
    from sim.evaluate import workers as started
    from sim.motion.actions import CONTROLS
    from sim.pictures.sight import eye_of
    from sim.pictures.video import Video
    from sim.processes import WORKERS
    from sim.strangers import fingerprint

    found = next((one for one in CONTROLS if one == control), None)
    if found is None:
        raise typer.BadParameter(f"{control!r} is not a control. There are {listed(CONTROLS)}.", param_hint="--control")
    wanted = seeds_of(seeds)
    cameras = tuple(camera or ())
    video = None if videos is None else Video(videos.resolve(), eye_of(cameras[0]).camera if cameras else "front")
    file = "" if checkpoint is None else str(checkpoint.resolve())
    job = Job(policy, environment_named(env), found, file, max_steps, video, cameras, size_of(size, cameras))
    sha256 = fingerprint(policy, checkpoint)
    warnings = _warnings(wanted)
    for one in warnings:
        err.print(f"[yellow]warning[/yellow]: {escape(one)}", highlight=False, soft_wrap=True)
    begun = time.perf_counter()
    count = min(workers or WORKERS, len(wanted))
    with started(count) as pool, progress_bar() as progress:
        done, interrupted = _gathered(job, wanted, pool, progress)
    report = _report(job, seeds, done, warnings)
    report |= {
        "sha256": sha256,
        "interrupted": interrupted,
        "workers": count,
        "wall_s": round(time.perf_counter() - begun, 2),
    }
    if as_json:
        print(json.dumps(report))
    else:
        _tell(report, len(wanted))
    if interrupted or report["success_rate"] is None or report["success_rate"] < at_least:
        raise typer.Exit(1)


def _gathered(job: Job, seeds: Sequence[int], pool: Any, progress: Progress) -> tuple[list[Episode], bool]:
    """Return the episodes, by seed, and whether Ctrl-C came; raise PlatformError if a worker died."""
    from sim.evaluate import evaluate as judge
    from sim.evaluate import rate

    shown, done = progress.add_task("evaluating", total=len(seeds)), []
    try:
        for one in judge(job, seeds, pool):
            done.append(one)
            so_far = rate(done)
            progress.update(shown, advance=1, description=f"{so_far.successes} of {so_far.valid} succeeded")
    except KeyboardInterrupt:
        return _by_seed(done), True
    except BrokenProcessPool as error:
        raise PlatformError(
            f"A process that ran {job.policy} died, perhaps for lack of memory. Fewer --workers may help."
        ) from error
    return _by_seed(done), False


def _by_seed(done: Iterable[Episode]) -> list[Episode]:
    return sorted(done, key=lambda one: one.seed)


def _warnings(seeds: Sequence[int]) -> list[str]:
    """Return what is wrong with judging by these seeds."""
    of_data = [seed for seed in seeds if seed not in JUDGING]
    if not of_data:
        return []
    some = listed([str(seed) for seed in of_data[:3]] + ([f"{len(of_data) - 3} more"] if len(of_data) > 3 else []))
    return [
        f"{some}: data are made from {'this seed' if len(of_data) == 1 else 'these seeds'}, so a policy may know the "
        f"scene by heart. Judge by seeds from {JUDGING.start} to {JUDGING.stop - 1}."
    ]


def _report(job: Job, seeds: str, done: Sequence[Episode], warnings: Sequence[str]) -> dict[str, Any]:
    from sim.evaluate import rate
    from sim.interval import LEVEL

    found = rate(done)
    counted = [one for one in done if not one.invalid]
    return {
        "policy": job.policy,
        "checkpoint": job.checkpoint,
        "env": job.env,
        "control": job.control,
        "cameras": list(job.cameras),
        "camera_size": list(job.camera_size) if job.cameras else None,
        "seeds": seeds,
        "episodes": len(done),
        "valid": found.valid,
        "successes": found.successes,
        "success_rate": found.success_rate,
        "interval": {"method": "wilson", "level": LEVEL, "low": found.interval.low, "high": found.interval.high},
        "failed_seeds": [one.seed for one in counted if not one.success],
        "invalid": [{"seed": one.seed, "why": one.invalid} for one in done if one.invalid],
        "warnings": list(warnings),
        "results": [asdict(one) for one in counted],
    }


def _tell(report: dict[str, Any], asked: int) -> None:
    """Say it in words."""
    low, high = report["interval"]["low"], report["interval"]["high"]
    if report["success_rate"] is None:
        out.print("no episode counts")
    else:
        rate = f"{report['successes']} of {report['valid']} succeeded: {report['success_rate']:.0%}"
        out.print(f"{rate} (95 % interval {low:.0%} to {high:.0%}, Wilson)", highlight=False)
    failed = report["failed_seeds"]
    if failed:
        more = f" and {len(failed) - _LISTED} more" if len(failed) > _LISTED else ""
        out.print(f"failed seeds: {', '.join(map(str, failed[:_LISTED]))}{more}", highlight=False, soft_wrap=True)
    for one in report["invalid"]:
        out.print(f"seed {one['seed']} does not count: {escape(one['why'])}", highlight=False, soft_wrap=True)
    if report["interrupted"]:
        out.print(f"interrupted: {report['episodes']} of {asked} seeds were evaluated", highlight=False)
