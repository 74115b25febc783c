"""The control plane as JSON Schema, made from the messages themselves, for anyone who writes a client or a host.

python -m teleop.wire.schema > teleop/wire/signalling.schema.json
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final, get_args

import msgspec

from teleop.wire import signalling
from teleop.wire.messages import PROTOCOL

PARTIES: Final = {
    "operator_to_hub": signalling.FromOperator,
    "hub_to_operator": signalling.ToOperator,
    "host_to_hub": signalling.FromHost,
    "hub_to_host": signalling.ToHost,
    "viewer_to_hub": signalling.FromViewer,
    "hub_to_viewer": signalling.ToViewer,
    "camera_to_hub": signalling.FromCamera,
}
"""Who may say what to whom."""


def made() -> dict[str, Any]:
    """Return the schema: one definition for each message, and for each direction the messages that go that way."""
    directions, definitions = msgspec.json.schema_components(
        [message for party in PARTIES.values() for message in _messages(party)], ref_template="#/$defs/{name}"
    )
    by_party, start = {}, 0
    for name, party in PARTIES.items():
        count = len(_messages(party))
        by_party[name] = {"oneOf": list(directions[start : start + count])}
        start += count
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "/api/protocol",
        "title": f"armshare control plane, protocol {PROTOCOL}",
        "description": "Text frames of every websocket; PROTOCOL.md says what follows what.",
        "protocol": PROTOCOL,
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in by_party],
        "$defs": {**by_party, **definitions},
    }


def _messages(party: Any) -> tuple[Any, ...]:
    return get_args(party) or (party,)


def published() -> dict[str, Any]:
    """Return the schema as it is kept beside the code."""
    text = resources.files(__package__).joinpath("signalling.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


if __name__ == "__main__":
    print(json.dumps(made(), indent=2))  # noqa: T201  this is how the file is made
