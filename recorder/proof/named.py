"""A hub that was named: its public keys, as `/api/config` gives them and a researcher saves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from recorder.proof.case import Trust
from sim.words import listed
from teleop.identity import Domain

_KEYS: Final = ("chain_id", "vault", "hub", "log_public_key")
_SAVE: Final = "Save them with: curl -s URL/api/config > hub.json"


class HubKeysError(ValueError):
    """A file does not hold a hub's keys."""


def hub_keys(file: Path) -> dict[str, Any]:
    """Return a saved `/api/config`; raise HubKeysError if the file is not one, or OSError."""
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise HubKeysError(f"{file} is not a hub's keys: it holds no JSON. {_SAVE}") from error
    missing = [name for name in _KEYS if not isinstance(found, dict) or name not in found]
    if missing:
        raise HubKeysError(f"{file} is not a hub's keys: it lacks {listed(missing)}. {_SAVE}")
    return dict(found)


def trust_in(config: Mapping[str, Any]) -> Trust:
    """Return whose receipts count, from a hub's `/api/config`."""
    domain = Domain(config["chain_id"], config["vault"])
    return Trust(domain, hub=config["hub"], log_key=config["log_public_key"])
