"""The page's half of the control plane as TypeScript: types made from the published schema, not retyped.

python -m teleop.wire.typescript > armshare/web/src/lib/link/signalling.ts
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from teleop.wire.schema import published

DIRECTIONS: Final = ("operator_to_hub", "hub_to_operator", "viewer_to_hub", "hub_to_viewer")
"""The directions that a page sends or receives."""
WIDTH: Final = 120
_HEAD: Final = """\
// The text frames that the page says and hears, as `teleop/wire/signalling.schema.json` has them.
//
// Made by `python -m teleop.wire.typescript`; a test holds this file to it. Do not edit it by hand.
"""
_SCALARS: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


class UnknownShapeError(Exception):
    """The schema holds something that has no rule for TypeScript yet; add one to `_type`."""


def made(schema: Mapping[str, Any] | None = None) -> str:
    """Return the file's text: a union for each direction, then each message and what it holds."""
    definitions = (published() if schema is None else schema)["$defs"]
    needed = _needed(definitions)
    unions = (_union(_camel(name), definitions[name]["oneOf"]) for name in DIRECTIONS)
    shapes = (_declared(name, definitions[name]) for name in needed)
    return "\n".join((_HEAD, *unions, *shapes))


def _needed(definitions: Mapping[str, Any]) -> list[str]:
    """Return, in order, the definitions that the page's directions refer to, directly or not."""
    needed: list[str] = []
    waiting = list(DIRECTIONS)
    while waiting:
        found = [name for name in _references(definitions[waiting.pop(0)]) if name not in needed]
        needed += dict.fromkeys(found)
        waiting = [*found, *waiting]
    return needed


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _named(schema)
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _union(name: str, members: list[dict[str, str]]) -> str:
    return _wrapped(f"export type {name} =", [_named(member) for member in members])


def _wrapped(head: str, members: list[str]) -> str:
    """A union on one line if it fits, otherwise with a line for each member."""
    line = f"{head} {' | '.join(members)}\n"
    return line if len(line) <= WIDTH else "\n".join((head, *(f"  | {member}" for member in members))) + "\n"


def _declared(name: str, schema: Mapping[str, Any]) -> str:
    doc = f"/** {schema['description']} */\n"
    if "properties" not in schema:
        return doc + _wrapped(f"export type {name} =", _type(schema).split(" | "))
    required = schema.get("required", [])
    fields = (
        f"  {field}{'' if field in required else '?'}: {_type(shape)}\n"
        for field, shape in schema["properties"].items()
    )
    return f"{doc}export interface {name} {{\n{''.join(fields)}}}\n"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _named(schema)
    if "enum" in schema:
        return " | ".join(_quoted(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    match schema.get("type"):
        case "array":
            inner = _type(schema["items"])
            return f"({inner})[]" if " | " in inner else f"{inner}[]"
        case "object" if "properties" not in schema:
            return "Record<string, unknown>"
        case str(scalar) if scalar in _SCALARS:
            return _SCALARS[scalar]
    raise UnknownShapeError(f"no TypeScript for {json.dumps(schema)}; add a rule to {__name__}")


def _quoted(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def _named(reference: Mapping[str, str]) -> str:
    return reference["$ref"].removeprefix("#/$defs/")


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


if __name__ == "__main__":
    print(made(), end="")  # noqa: T201  this is how the file is made
