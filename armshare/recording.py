"""`armshare.record`: a Gymnasium environment of ours whose episodes are signed, scored, replayed and kept."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

import gymnasium

from recorder.collect.env import Action, RecordedEnv, driver_of
from rewards.score.kept import keep_score
from rewards.score.versions import NEWEST
from sim.gym import Seen


def record(
    env: gymnasium.Env[Seen, Action],
    folder: str | PathLike[str],
    *,
    by: str | PathLike[str] | None = None,
    key: str | PathLike[str] | None = None,
    replay: bool = True,
) -> RecordedEnv:
    """Return `env`, recording: `with armshare.record(env, folder) as env: ...`.

    Each episode that terminates or is truncated becomes a bundle in `folder`, as `armshare record` makes them. `by` is
    the file of the policy that drives, such as its checkpoint; without it, the running program is said to drive, as a
    script. `key` is the operator's key file; by default one is made and kept in the folder. With `replay` False an
    episode counts unreplayed. Raises CollectError.
    """
    driver = driver_of(None if by is None else fspath(by))
    wallet = None if key is None else Path(key)
    return RecordedEnv(env, Path(folder), by=driver, wallet=wallet, replay=replay, after=keep_score, rules=NEWEST)
