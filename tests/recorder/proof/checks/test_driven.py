"""An episode is replayed from its commands: whoever drives otherwise than they say is found, and nobody honest is."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.file.episode import Episode, read_episode
from recorder.file.journal import finish
from recorder.file.layout import LIMIT_TYPE
from recorder.file.writer import EpisodeWriter
from recorder.proof.checks import commands, motion
from recorder.proof.description import hash_description
from recorder.proof.replayed import replayed
from sim.catalogue import ROBOTS, TASKS, task, tasks_of
from sim.motion.control import Twist
from sim.physics.engine import EngineMismatchError
from sim.physics.replay import ReplayMismatchError
from teleop.wire import signalling
from teleop.wire.messages import Command, Mode, Safety
from teleop.wire.reasons import EndReason
from tests.teleop import simulated
from tests.teleop.sessions import release
from tests.teleop.simulated import Simulated, by_joints, by_poses

pytestmark = pytest.mark.slow

SEED = 5
EXPERTS = [*((task(name).robots[0], name) for name in TASKS), *((robot, tasks_of(robot)[0]) for robot in ROBOTS)]
"""Every task, and every robot."""

described = cache(hash_description)


def episode_of(driven: simulated.Episode) -> Episode:
    """Return what a drive is in a file."""
    start, steps, end = driven
    with tempfile.TemporaryDirectory() as folder:
        journal, clean = Path(folder) / f"{start.episode}.journal", Path(folder) / "episode.h5"
        writer = EpisodeWriter.start(journal, start, described(start.spec.model))
        for step in steps:
            writer.append(step)
        writer.end(end)
        finish(journal, clean)
        return read_episode(clean)


def everything(robot: str, name: str) -> Episode:
    """Return an episode of all that an honest drive may hold."""
    floor = Simulated(robot, name)
    floor.ready(name, SEED)
    floor.follow(floor.expert(), 70)
    floor.vanish(25)
    floor.rest(2)
    floor.follow(by_joints(floor.spec), 40)
    floor.rest(5)
    floor.follow(by_joints(floor.spec), 3)
    floor.resume()
    floor.rest(4)
    floor.follow(by_poses(floor.spec), 40)
    floor.finish()
    floor.close()
    return episode_of(floor.episodes[0])


@pytest.mark.parametrize(("robot", "name"), sorted(set(EXPERTS)))
def test_an_honest_episode_is_replayed_from_its_commands(robot: str, name: str) -> None:
    episode = everything(robot, name)
    assert {Safety.EXPIRED, Safety.DRIVING, Safety.HOLDING} <= set(episode.arrays["safety"].tolist())
    assert len(set(epochs(episode))) == 2
    require_honest(episode)


def require_honest(episode: Episode) -> None:
    """Require what each gate requires of the steps."""
    assert commands.problem(episode) is None
    assert commands.unsafe(episode) is None
    assert motion.problem(episode) is None
    replayed(episode)


def test_an_arm_that_walked_back_from_what_it_pressed_against_walks_back_again() -> None:
    floor = Simulated("panda", "drawer")
    floor.ready("drawer", SEED)
    floor.follow(floor.expert(), 70)
    floor.vanish(25)
    floor.finish()
    floor.close()
    episode = episode_of(floor.episodes[0])
    moves = np.abs(np.diff(episode.applied_joint_position[69:], axis=0)).max(axis=1) > 1e-9
    assert not moves[0], "it stood, and pressed"
    assert moves.any(), "and then it moved, with nobody there"
    replayed(episode)


def epochs(episode: Episode) -> list[int]:
    """The epoch of each command."""
    data, at, found = episode.arrays["commands/bytes"].tobytes(), 0, []
    for end in episode.arrays["commands/end"].tolist():
        found.append(Command.decode(data[at:end]).epoch)
        at = end
    return found


def test_an_episode_has_no_past() -> None:
    """What its robot did before, at other tasks, in episodes that ended in every way, changes no bit of it."""
    floor = Simulated("panda", "lift", "push")
    endings: list[tuple[str, Callable[[], object]]] = [
        ("lift", floor.finish),
        ("lift", lambda: floor.session.obey(signalling.Revoke(floor.epoch, EndReason.LEFT))),
        ("push", lambda: floor.session.obey(signalling.EstopOrder("anyone"))),
        ("push", lambda: floor.begin(8)),
        ("lift", lambda: floor.session.broke(RuntimeError("a bug"))),
        ("lift", floor.finish),
    ]
    for index, (name, ends) in enumerate(endings):
        floor.ready(name, SEED)
        floor.follow(by_joints(floor.spec), 12 + index)
        ends()
        floor.session.obey(release(floor.session.latch))
        floor.vanish(20)
    floor.close()
    assert [start.spec.task.name for start, _, _ in floor.episodes] == [name for name, _ in endings]
    for one in floor.episodes:
        replayed(episode_of(one))
    first, last = floor.episodes[0][1], floor.episodes[-1][1]
    for step, again in zip(first, last, strict=False):
        assert step.applied.joint_position.tobytes() == again.applied.joint_position.tobytes()


@pytest.fixture(scope="module")
def driven() -> Episode:
    """An operator asks for something else each period, for more than the limits allow; then it is away for a moment."""
    floor = Simulated("panda", "lift")
    floor.ready("lift", SEED)
    periods = iter(range(30))
    floor.follow(lambda _seen: wave(next(periods)), 30)
    floor.vanish(12)
    floor.rest(2)
    floor.follow(floor.expert(), 20)
    floor.finish()
    floor.close()
    return episode_of(floor.episodes[0])


def wave(period: int) -> Twist:
    """A hand goes round, faster than it may, and opens and closes."""
    angle = 0.4 * period
    linear = [0.5 * math.cos(angle), 0.5 * math.sin(angle), 0.2 * math.sin(0.5 * angle)]
    return Twist(np.array([[*linear, 0.3, -0.2, math.cos(angle)]]), np.array([0.5 + 0.5 * math.sin(angle)]))


def with_arrays(episode: Episode, **changes: Any) -> Episode:
    """Return it with other arrays; `a__b` is the dataset a/b."""
    return dataclasses.replace(
        episode, arrays=episode.arrays | {name.replace("__", "/"): value for name, value in changes.items()}
    )


def from_actions(episode: Episode) -> Episode:
    """Return it as one of version 1, which is replayed from what was applied."""
    return dataclasses.replace(episode, meta=msgspec.structs.replace(episode.meta, version=1))


def test_a_host_that_drives_by_a_policy_while_its_operator_asks_for_something_else_is_found(driven: Episode) -> None:
    """What it applied is possible, and gives exactly what was seen; only its operator never asked for it."""
    floor = Simulated("panda", "lift")
    floor.ready("lift", SEED)
    floor.follow(floor.expert(), driven.steps)
    floor.finish()
    floor.close()
    policy = episode_of(floor.episodes[0])
    names = [name for name in driven.arrays if name.startswith("commands/")]
    assert policy.steps == driven.steps
    lies = dataclasses.replace(policy, arrays=policy.arrays | {name: driven.arrays[name] for name in names})
    replayed(policy)
    replayed(from_actions(lies))
    with pytest.raises(ReplayMismatchError, match=r"step 0, applied joint_position\[\d\]"):
        replayed(lies)


def rows(episode: Episode) -> np.ndarray[Any, Any]:
    """The limits, to be changed."""
    return episode.arrays["limits"].copy()


def without_one(episode: Episode) -> Episode:
    return with_arrays(episode, limits=np.delete(rows(episode), 3))


def with_one_more(episode: Episode) -> Episode:
    found = rows(episode)
    return with_arrays(episode, limits=np.concatenate([found[:4], found[3:]]))


def without_any(episode: Episode) -> Episode:
    return with_arrays(episode, limits=rows(episode)[:0])


def with_a_last_one(episode: Episode) -> Episode:
    last = np.array([(episode.steps - 1, 0, 0, 2.0, 1.0)], LIMIT_TYPE)
    return with_arrays(episode, limits=np.concatenate([rows(episode), last]))


def limit(name: str, change: Callable[[Any], Any]) -> Callable[[Episode], Episode]:
    def changed(episode: Episode) -> Episode:
        found = rows(episode)
        found[name][3] = change(found[name][3])
        return with_arrays(episode, limits=found)

    return changed


def limits_beyond_the_end(episode: Episode) -> Episode:
    found = rows(episode)
    found["step"][-1] = episode.steps
    return with_arrays(episode, limits=found)


def limits_out_of_order(episode: Episode) -> Episode:
    return with_arrays(episode, limits=rows(episode)[::-1])


def nudged(path: str, *at: int) -> Callable[[Episode], Episode]:
    def changed(episode: Episode) -> Episode:
        array = episode.arrays[path].copy()
        array[at] = np.nextafter(array[at], 9.0)
        return with_arrays(episode, **{path.replace("/", "__"): array})

    return changed


def moved(by: int) -> Callable[[Episode], Episode]:
    """Let the command of step 10, and what is before or after it, be taken `by` steps later."""

    def changed(episode: Episode) -> Episode:
        steps = episode.arrays["commands/step"].astype(np.int64)
        later = steps >= 10 if by > 0 else (steps > 10) & (steps < 20)
        return with_arrays(episode, commands__step=(steps + by * later).astype(np.uint32))

    return changed


def not_counted(episode: Episode) -> Episode:
    admitted = episode.arrays["commands/admitted"].copy()
    admitted[np.flatnonzero(episode.arrays["commands/step"] == 27)] = 0
    return with_arrays(episode, commands__admitted=admitted)


def said(step: int, state: int) -> Callable[[Episode], Episode]:
    def changed(episode: Episode) -> Episode:
        safety = episode.arrays["safety"].copy()
        safety[step] = state
        return with_arrays(episode, safety=safety)

    return changed


def garbled(episode: Episode) -> Episode:
    data = episode.arrays["commands/bytes"].copy()
    data[2] = 99
    return with_arrays(episode, commands__bytes=data)


LIES: dict[str, tuple[Callable[[Episode], Episode], str]] = {
    "a limit removed": (without_one, r"limits \(number\): the recording has \d+, re-simulation gives \d+"),
    "all limits removed": (without_any, r"step \d, limits \(number\): the recording has 0"),
    "a limit twice": (with_one_more, r"limits \(number\)"),
    "a limit at the end": (with_a_last_one, r"step 63, limits \(number\): the recording has 1, re-simulation gives 0"),
    "another rule": (limit("rule", lambda rule: (rule + 1) % 11), r"limits\[\d\]: the recording has \("),
    "another axis": (limit("axis", lambda axis: axis + 1), r"limits\[\d\]"),
    "less asked": (limit("requested", lambda asked: np.nextafter(asked, 0.0)), r"limits\[\d\]"),
    "more let through": (limit("applied", lambda applied: np.nextafter(applied, 9.0)), r"limits\[\d\]"),
    "limits after the end": (limits_beyond_the_end, r"limits \(order\)"),
    "limits backwards": (limits_out_of_order, r"limits \(order\)"),
    "another place of the hand": (nudged("applied/ee_pose", 7, 0, 2), r"step 7, applied ee_pose\[0, 2\]"),
    "another target": (nudged("applied/joint_position", 9, 3), r"step 9, applied joint_position\[3\]"),
    "another grip": (nudged("applied/gripper", 28, 0), r"step 28, applied gripper\[0\]"),
    "another world": (nudged("observation/cube_pose", 4, 0), r"step 4, cube_pose\[0\]"),
    "commands a step later": (moved(1), r"step \d+, (applied|limits)"),
    "commands a step sooner": (moved(-1), r"step \d+, (applied|limits)"),
    "a command left out": (not_counted, r"step 27, (applied|limits)"),
    "driven, and said to have expired": (said(12, Safety.EXPIRED), r"step 12, (applied|limits)"),
    "driven, and said to have held": (said(12, Safety.HOLDING), r"step 12, (applied|limits)"),
    "expired, and said to have been driven": (said(32, Safety.DRIVING), r"step 32, (applied|limits)"),
    "a state that safety lacks": (said(12, 5), r"step 12, safety: the recording has 5"),
    "a command that is not one": (garbled, r"step 0, commands\[0\]: .* re-simulation gives 'expected"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_its_commands_do_not_give_is_named_by_its_step(driven: Episode, lie: str) -> None:
    tell, says = LIES[lie]
    with pytest.raises(ReplayMismatchError, match=says):
        replayed(tell(driven))


def test_another_controller_cannot_check_and_says_so(driven: Episode) -> None:
    other = msgspec.structs.replace(driven.meta, engine=driven.meta.engine | {"control": "0" * 16})
    with pytest.raises(EngineMismatchError, match=r"control 0{16} \(here \w+\); control: the controller moves it"):
        replayed(dataclasses.replace(driven, meta=other))


def test_an_episode_that_does_not_name_its_controller_is_checked_only_if_it_needs_none(driven: Episode) -> None:
    engine = {name: value for name, value in driven.meta.engine.items() if name != "control"}
    unsaid = dataclasses.replace(driven, meta=msgspec.structs.replace(driven.meta, engine=engine))
    with pytest.raises(EngineMismatchError, match=r"control None \(here"):
        replayed(unsaid)
    replayed(from_actions(unsaid))


WILD = st.floats(width=32, allow_nan=False, allow_infinity=False)
FITTING = {Mode.NEUTRAL: (0,), Mode.EE_TWIST: (7, 14, 9), Mode.EE_POSE: (8, 16, 10), Mode.JOINT_POSITION: (8, 16)}
"""How many values come: as many as one of these robots has, or a number that fits none of them."""
NUMBERS = st.one_of(st.sampled_from([0.0, 0.2, -0.25, 0.6, 1.0]), st.floats(-1.0, 1.0, width=32), WILD)
ASKED = st.sampled_from(list(FITTING)).flatmap(
    lambda mode: st.tuples(
        st.just(mode),
        st.one_of([st.lists(NUMBERS, min_size=n, max_size=n) for n in FITTING[mode]] + [st.lists(WILD, max_size=32)]),
    )
)
WORKS = st.tuples(st.just("works"), st.integers(40, 80), st.sampled_from([1, 20]))
HAPPENS = st.one_of(
    st.tuples(st.just("drives"), ASKED, st.integers(1, 8)),
    st.tuples(st.just("drives"), ASKED, st.integers(1, 8)),
    st.tuples(st.just("bursts"), st.lists(ASKED, max_size=70), st.booleans()),
    WORKS,
    WORKS,
    st.tuples(st.just("releases"), st.integers(1, 8)),
    st.tuples(st.just("vanishes"), st.integers(1, 16)),
    st.tuples(st.just("is late"), ASKED),
    st.tuples(st.just("stalls")),
    st.tuples(st.just("comes back")),
    st.tuples(st.just("begins again"), st.integers(0, 2**53)),
    st.tuples(st.just("is stopped")),
)


@pytest.fixture(scope="module", params=["panda drawer push", "husky fetch lift", "dual_panda handover"])
def floor(request: pytest.FixtureRequest) -> Iterator[Simulated]:
    """A robot that many drive, one after the other; at a drawer it presses against something."""
    made = Simulated(*request.param.split())
    yield made
    made.close()


@settings(max_examples=30)
@given(happens=st.lists(HAPPENS, min_size=1, max_size=7), seed=st.integers(0, 99), which=st.integers(0, 1))
def test_whatever_an_operator_sends_and_whatever_happens_its_episodes_are_replayed(
    floor: Simulated, happens: list[Any], seed: int, which: int
) -> None:
    known = len(floor.episodes)
    floor.session.obey(release(floor.session.latch))
    floor.vanish(20)
    floor.ready(floor.names[which % len(floor.names)], seed)
    for what, *rest in happens:
        let_happen(floor, what, *rest)
    floor.finish()
    for one in floor.episodes[known:]:
        if one[1]:
            require_honest(episode_of(one))


def let_happen(floor: Simulated, what: str, *rest: Any) -> None:
    """Let one of `HAPPENS` happen, and then a period or more pass."""
    match what, *rest:
        case "drives", (mode, values), periods:
            for _ in range(periods):
                floor.ask(mode, values)
                floor.tick()
        case "bursts", asked, pressed:
            for mode, values in asked:
                floor.ask(mode, values, dead_man=pressed)
        case "works", periods, away:
            floor.follow(floor.expert(), periods)
            floor.vanish(away)
        case "releases", periods:
            floor.rest(periods)
        case "vanishes", periods:
            floor.vanish(periods)
        case "is late", (mode, values):
            floor.ask(mode, values, delay_ns=10**9)
        case ("stalls",):
            floor.now_ns += 2 * 10**9
            floor.session.stalled()
        case ("comes back",):
            floor.resume()
            floor.rest()
        case "begins again", seed:
            floor.begin(seed)
            floor.tick(12)
            floor.rest()
        case ("is stopped",):
            floor.session.obey(signalling.EstopOrder("anyone"))
            floor.tick(3)
            floor.session.obey(release(floor.session.latch))
            let_happen(floor, "begins again", 3)
    floor.tick()
