"""Which errors a person can act on: the command line says them in one line instead of a traceback.

It imports none of the other packages; their errors are looked up only in modules that are already loaded.
"""

from __future__ import annotations

import sys
from typing import Final


class DoorError(Exception):
    """A command could not go on; the message says what to do."""


class PlatformError(DoorError):
    """The platform did not start, or a part of it died."""


class DemoError(DoorError):
    """A stage of the demo failed; the message says which and why."""


class EpisodeGoneError(DoorError):
    """An episode does not wait for this wallet's signature; the message says what it is instead."""


class HeldError(DoorError):
    """A signed episode waits to be checked, because the hub cannot at the moment; the message says why."""


class StillFaultedError(DoorError):
    """A robot broke again as its owner cleared it; the message says how."""


class NotOnlineError(DoorError):
    """The hub refused a robot; the message is the hub's."""


_ACTIONABLE: Final = (
    "httpx.HTTPError",
    "json.JSONDecodeError",
    "recorder.collect.folder.CollectError",
    "recorder.file.apart.ReaderLostError",
    "recorder.file.episode.EpisodeError",
    "recorder.proof.contribute.NotOurEpisodeError",
    "recorder.export.errors.ExportError",
    "recorder.pictures.cache.CacheError",
    "recorder.pictures.cluster.ClusterError",
    "recorder.pictures.errors.PictureError",
    "recorder.proof.refusals.GateError",
    "rewards.chain.payouts.PayoutsError",
    "rewards.chain.vault.ChainError",
    "rewards.score.versions.UnknownRulesError",
    "sim.robot.RobotError",
    "sim.strangers.PolicyError",
    "sim.strangers.UnknownPolicyError",
    "teleop.host.link.LoopBrokenError",
    "teleop.dialing.AuthorityError",
    "teleop.identity.KeyContentError",
    "teleop.operator.driver.RefusedError",
    "armshare.failures.DoorError",
    "teleop.operator.gamepad.GamepadError",
)


def actionable(error: Exception) -> list[Exception]:
    """Return the errors in `error` that a person can act on; none if any other is among them."""
    if isinstance(error, ExceptionGroup):
        found = [actionable(one) for one in error.exceptions]
        return [one for part in found for one in part] if all(found) else []
    return [error] if isinstance(error, _loaded()) else []


def words(error: Exception) -> str:
    """Return what an error says to a person: a hub's sentence without its code, and one line of a library's."""
    said = str(getattr(error, "message", error)).strip()
    return said.partition("\n")[0] or "no answer came in time; try again"


def _loaded() -> tuple[type[BaseException], ...]:
    """Return the classes of `_ACTIONABLE` whose modules are loaded: another cannot have been raised."""
    found = (name.rpartition(".") for name in _ACTIONABLE)
    return tuple(getattr(sys.modules[module], kind) for module, _, kind in found if module in sys.modules)
