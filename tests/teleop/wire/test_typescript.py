"""The page's types are made from the schema, hold nothing that it does not, and refuse what has no rule yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from teleop.wire.schema import published
from teleop.wire.typescript import DIRECTIONS, UnknownShapeError, made

KEPT = Path(__file__).parents[3] / "armshare" / "web" / "src" / "lib" / "link" / "signalling.ts"


def schema(**properties):
    """A schema in which every direction has one message, `Said`, of these fields; `said` is required of them."""
    said = {"description": "Said.", "type": "object", "properties": properties, "required": ["said"]}
    return {"$defs": {**{name: {"oneOf": [{"$ref": "#/$defs/Said"}]} for name in DIRECTIONS}, "Said": said}}


def test_the_pages_types_are_made_from_the_schema():
    todo = "run: python -m teleop.wire.typescript > armshare/web/src/lib/link/signalling.ts"
    assert KEPT.read_text() == made(), todo


def test_every_message_of_the_pages_directions_has_its_type_with_every_field():
    text, definitions = made(), published()["$defs"]
    for direction in DIRECTIONS:
        for reference in definitions[direction]["oneOf"]:
            name = reference["$ref"].removeprefix("#/$defs/")
            (body,) = (part.split("}")[0] for part in text.split(f"export interface {name} {{")[1:])
            fields = {line.split(":")[0].strip().rstrip("?") for line in body.strip().splitlines()}
            assert fields == definitions[name]["properties"].keys()
            assert f"/** {definitions[name]['description']} */\nexport interface {name} " in text


@pytest.mark.parametrize(
    ("shape", "field"),
    [
        ({"enum": ["one", "two"]}, "said: 'one' | 'two'"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "said: number | null"),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "said: (string | null)[]"),
        ({"type": "array", "items": {"type": "boolean"}}, "said: boolean[]"),
        ({"type": "object"}, "said: Record<string, unknown>"),
        ({"$ref": "#/$defs/Said"}, "said: Said"),
    ],
)
def test_a_field_is_typed_as_the_schema_says(shape, field):
    assert f"  {field}\n" in made(schema(said=shape))


def test_a_field_that_need_not_be_there_is_optional():
    assert "  more?: string\n" in made(schema(said={"type": "string"}, more={"type": "string"}))


@pytest.mark.parametrize("shape", [{}, {"type": "tuple"}, {"type": "object", "properties": {}}, {"const": 1}])
def test_a_shape_without_a_rule_is_refused_rather_than_guessed(shape):
    with pytest.raises(UnknownShapeError, match="add a rule"):
        made(schema(said=shape))
