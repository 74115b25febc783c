"""How often a policy does a task: one episode of a Gymnasium environment for each seed, in several processes.

Part of sim; exports `Job`, `evaluate`, `workers` and what they return. A policy is found by `module:name`, in the
working directory first, and called with the observation: it returns an action of the environment's space. A class is
instantiated for each episode, and the object called. With a checkpoint, the name is called once in each process, with
the file's path, and what it returns is the policy; if that has a `reset`, it is called before each episode.
"""

from __future__ import annotations

import atexit
import inspect
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.interval import Interval, wilson
from sim.pictures.video import Video, Write
from sim.processes import end_with_parent
from sim.registry import NAMESPACE, register_envs
from sim.robot import ArrayMismatchError, ArraySpec, RobotError
from sim.strangers import PolicyError, call, find, short

if TYPE_CHECKING:
    import gymnasium

    from sim.motion.actions import Control

_MODULE: Final = "sim.gym:"
"""What Gymnasium puts before a name to import the module that registers it."""
_ready: Final[dict[Job, tuple[Policy, gymnasium.Env[Any, Any]]]] = {}
"""What a worker goes on with: the policy and the environment of the job that it is at."""


class UnknownEnvError(RobotError):
    """No environment of ours has that name."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is evaluated, in what."""

    policy: str
    """`module:name`."""
    env: str
    """Such as `armshare/Lift-Panda-v0`."""
    control: Control = "ee_twist"
    checkpoint: str = ""
    max_steps: int | None = None
    """The longest episode; None: the task's own limit."""
    video: Video | None = None
    """Videos of the episodes, such as `1003-failure.mp4`."""
    cameras: tuple[str, ...] = ()
    """What the policy sees with: `front` is `front_image` in its observation, `front_depth` its depth."""
    camera_size: tuple[int, int] = (640, 480)
    """Width and height of what it sees."""


@dataclass(frozen=True, slots=True)
class Episode:
    """How a policy did from one seed."""

    seed: int
    success: bool
    steps: int
    seconds: float
    """Simulated time."""
    progress: float
    """In [0, 1]: how far the task had got at the end."""
    invalid: str = ""
    """Why it does not count; empty if it does."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often it succeeded, of the episodes that count."""

    successes: int
    valid: int
    success_rate: float | None
    """None if no episode counts."""
    interval: Interval
    """By Wilson's score, at 95 %."""


class Policy:
    """A stranger's policy, loaded in this process."""

    def __init__(self, name: str, checkpoint: str = "") -> None:
        """Load it; raise UnknownPolicyError or PolicyError."""
        self.name = name
        found = find(name)
        self._make: Callable[[], Any] | None = None
        self._policy: Any = None
        if checkpoint:
            self._policy = call(name, found, checkpoint)
        elif inspect.isclass(found):
            self._make = found
        else:
            self._policy = found

    def begin(self) -> Callable[[Any], Any]:
        """Return what is called in the next episode; raise PolicyError if it cannot be called with an observation."""
        policy = self._policy if self._make is None else call(self.name, self._make)
        reset = getattr(policy, "reset", None)
        if callable(reset):
            call(f"{self.name}: reset()", reset)
        if not callable(policy):
            raise PolicyError(
                f"{self.name} gave {short(policy)}, which cannot be called with an observation; give it a "
                "__call__(self, observation) that returns an action"
            )
        _require_one_argument(self.name, policy)
        found: Callable[[Any], Any] = policy
        return found


def environment_named(env: str) -> str:
    """Return the name of an environment of ours, without a module before it; raise UnknownEnvError."""
    import gymnasium  # here, so that the command line loads it only for this command

    register_envs()
    name = env.removeprefix(_MODULE)
    known = sorted(one for one in gymnasium.registry if one.startswith(f"{NAMESPACE}/"))
    if name in known:
        return name
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    maybe = f"Did you mean {near[0]}? " if near else ""
    raise UnknownEnvError(f"There is no environment {env!r}. {maybe}`armshare sim list --json` lists all of them.")


@contextmanager
def workers(count: int) -> Iterator[Executor]:
    """Yield processes to evaluate in; what has not begun is cancelled at the end."""
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _prepare)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def evaluate(job: Job, seeds: Sequence[int], executor: Executor) -> Iterator[Episode]:
    """Yield an episode from each seed as it is done, in no order.

    Raises UnknownPolicyError, PolicyError, UnknownCameraError, PictureSizeError or VideoError.
    """
    waiting = [executor.submit(episode, job, seed) for seed in seeds]
    try:
        for done in as_completed(waiting):
            yield done.result()
    finally:
        for one in waiting:
            one.cancel()


def rate(episodes: Sequence[Episode]) -> Rate:
    """Return the success rate of those that count."""
    valid = [one for one in episodes if not one.invalid]
    successes = sum(one.success for one in valid)
    share = successes / len(valid) if valid else None
    return Rate(successes, len(valid), share, wilson(successes, len(valid)))


def episode(job: Job, seed: int) -> Episode:
    """Let the policy drive one episode; runs in a worker process, which keeps the environment and the policy."""
    (policy, env), video = _made(job), job.video
    if video is None:
        return _driven(job, policy, env, seed, None)
    with video.writing(seed, env.metadata["render_fps"]) as write:
        done = _driven(job, policy, env, seed, write)
    video.keep(seed, f"{seed}-{'invalid' if done.invalid else 'success' if done.success else 'failure'}")
    return done


def _driven(job: Job, policy: Policy, env: gymnasium.Env[Any, Any], seed: int, write: Write | None) -> Episode:
    seen, info = env.reset(seed=seed)
    act = policy.begin()
    space = ArraySpec(f"an action for {job.control}", env.action_space.shape or (), "1", "in [-1, 1]")
    steps, over, success = 0, False, False
    while not over:
        if write is not None:
            write(env.render())
        asked = _action(policy.name, _asked(policy.name, act, seen), space, f"step {steps} of seed {seed}")
        seen, _, success, truncated, info = env.step(asked)
        steps, over = steps + 1, success or truncated
    hz = float(env.unwrapped.world.spec.control_hz)  # type: ignore[attr-defined]  # Gymnasium does not know our class
    return Episode(seed, success, steps, steps / hz, float(info["progress"] or 0.0), info.get("invalid", ""))


def _asked(name: str, act: Callable[[Any], Any], seen: Mapping[str, Any]) -> Any:
    """Return what a policy returns; raise PolicyError, which names the camera if the policy lacked its pictures."""
    try:
        return call(name, act, seen)
    except PolicyError as error:
        lacking = error.__cause__.args[0] if isinstance(error.__cause__, KeyError) and error.__cause__.args else ""
        picture = re.fullmatch(r"(\w+)_(image|depth)", str(lacking))
        if picture is None or lacking in seen:
            raise
        camera = picture[1] if picture[2] == "image" else lacking
        raise PolicyError(f"{error}. For that picture, name its camera: --camera {camera}") from error


def _action(name: str, asked: Any, space: ArraySpec, when: str) -> NDArray[np.float32]:
    """Return what a policy returned as an action; raise PolicyError if it is not one."""
    try:
        return space.conform(np.asarray(asked)).astype(np.float32)
    except ArrayMismatchError as error:
        said = f"{name} returned {short(asked)} in {when}: {error}"
        raise PolicyError(f"{said}. Is --control what it was trained for?") from error
    except Exception as error:  # whatever a stranger's object does when it is made an array
        raise PolicyError(f"{name} returned {short(asked)} in {when}, which is not an array: {error}") from error


def _require_one_argument(name: str, policy: Callable[..., Any]) -> None:
    try:
        inspect.signature(policy).bind(None)
    except TypeError as error:
        raise PolicyError(
            f"{name} cannot be called with an observation alone ({error}). Here a policy takes the observation and "
            "returns an action; one that takes (values, robot) is for `armshare drive`, and one that loads a file "
            "needs --checkpoint FILE"
        ) from error
    except ValueError:  # a function in C, which has no signature to read
        return


def _prepare() -> None:
    """Begin a worker: it leaves Ctrl-C to its parent, and ends with it. Each core has one, so one thread is enough."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    atexit.register(_forget)


def _forget() -> None:
    """Let go of the environment and the policy while their libraries are still there."""
    while _ready:
        _, (_, env) = _ready.popitem()
        env.close()


def _made(job: Job) -> tuple[Policy, gymnasium.Env[Any, Any]]:
    if job not in _ready:
        _forget()
        _ready[job] = Policy(job.policy, job.checkpoint), _env(job)
    return _ready[job]


def _env(job: Job) -> gymnasium.Env[Any, Any]:
    import gymnasium

    import sim.gym  # noqa: F401  registers the names in this process

    asked: dict[str, Any] = {"control": job.control, "cameras": job.cameras, "camera_size": job.camera_size}
    if (video := job.video) is not None:
        asked |= {"render_mode": "rgb_array", "camera": video.camera, "width": video.width, "height": video.height}
    return gymnasium.make(job.env, max_episode_steps=job.max_steps, disable_env_checker=True, **asked)
