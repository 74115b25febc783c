"""Make reference set 1 from scripted drives of seeds below 1000: `python -m rewards.score.references.make --to FOLDER`.

It writes `FOLDER/<task>.npz` and prints the SHA-256 of each, which `digests.py` holds. An existing file is not
replaced: a set that is published stays as it is, and a larger one has a new number.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rewards.score.facts import EpisodeFacts
from rewards.score.references.driving import MANNERS, Mannered, driven
from rewards.score.references.making import made
from rewards.score.references.store import packed
from sim.catalogue import TASKS, make_world, task
from sim.physics.world import World

NUMBER: Final = 1
DRIVES: Final = 60
"""About how many drives a task has, of all robots together."""


def main() -> None:
    """Make the sets that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="the folder of the set")
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    asked = parser.parse_args()
    asked.to.mkdir(parents=True, exist_ok=True)
    for name in asked.tasks:
        path = asked.to / f"{name}.npz"
        if path.exists():
            sys.stderr.write(f"{path} is there, and stays as it is.\n")
            continue
        data = packed(made(NUMBER, drives_of(name)))
        path.write_bytes(data)
        sys.stdout.write(f'"{name}": "{hashlib.sha256(data).hexdigest()}",\n')


def drives_of(name: str) -> list[list[EpisodeFacts]]:
    """Return the successful drives of a task's set: of every robot that can do it, in every manner, seeds of data."""
    robots = task(name).robots
    each = max(DRIVES // (len(robots) * len(MANNERS)), 1)
    groups = []
    for robot in robots:
        world = make_world(robot, name)
        world.connect()
        try:
            groups.append(list(_of_robot(world, each)))
        finally:
            world.disconnect()
    return groups


def _of_robot(world: World, each: int) -> Iterator[EpisodeFacts]:
    for number, manner in enumerate(MANNERS):
        done = 0
        for seed in range(100 * number, 100 * number + 100):
            facts = driven(world, Mannered(world.task.expert(world.description), manner), seed)
            if facts.success and done < each:
                done += 1
                yield facts
            if done == each:
                break


if __name__ == "__main__":
    main()
