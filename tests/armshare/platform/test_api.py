"""Promises of the whole API: every route says what it answers, every error has one shape, and a code in one style."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from recorder.hub.api import _STATUS
from recorder.proof.refusals import GateError
from rewards.hub.datasets import refusals
from teleop.hub.errors import CODE, code_of
from teleop.hub.robots.registrations import RegistrationError
from tests.conftest import House

ROOT = Path(__file__).parents[3]
OWN_SCHEMA = {
    ("get", "/api/protocol"),  # is a JSON Schema
    ("get", "/api/roots/{root}"),  # docs/payouts.md
    ("get", "/api/sets/{ns}/{name}/versions/{n}/document"),  # docs/datasets.md
    ("get", "/api/sets/{ns}/{name}/versions/{n}/croissant.json"),  # Croissant 1.1
    ("get", "/api/episodes/{episode}/manifest"),  # FORMAT.md
    ("get", "/api/episodes/{episode}/files/{name}"),  # FORMAT.md
    ("get", "/api/episodes/{episode}/files/score.json"),  # docs/scoring.md
}
"""Routes that give out a document as it is; another text says what is in it."""
NO_BODY = {
    ("post", "/api/auth/sign-out"),
    ("delete", "/api/robots/{robot}"),
    ("post", "/api/uploads"),
    ("options", "/api/uploads"),
    ("head", "/api/uploads/{upload}"),
    ("patch", "/api/uploads/{upload}"),
    ("head", "/api/episodes/{episode}/files/{name}"),
    ("head", "/api/episodes/{episode}/files/score.json"),
    ("head", "/api/episodes/{episode}/files/episode.h5.sealed"),
    ("head", "/api/exports/{job}/archive"),
    ("head", "/datasets/{namespace}/{name}/resolve/{revision}/{path}"),
    ("options", "/datasets/{path}"),
    ("options", "/api/datasets/{path}"),
}
NAMED = refusals.DatasetRefusedError
ABSTRACT = {NAMED, refusals.EpisodesRefusedError}
MAKERS = {"ApiError": 1, "answer": 1, "BodyRefusedError": 1, "Said": 1}
"""What makes an error, and which of its arguments is the code."""


@pytest.fixture(scope="module")
def client(house: House) -> Iterator[httpx.Client]:
    """A client of a real hub."""
    with httpx.Client(base_url=house.url, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def schema(client: httpx.Client) -> dict[str, Any]:
    """What the hub says of itself."""
    return dict(client.get("/openapi.json").json())


def operations(schema: dict[str, Any]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """Yield (method, path) and what is said of it."""
    for path, methods in schema["paths"].items():
        for method, said in methods.items():
            yield (method, path), said


def named(schema: dict[str, Any]) -> bool:
    """Whether a schema is a model with a name, a list of one, or a text."""
    one = schema.get("items", schema)
    return "$ref" in one or one.get("type") == "string"


def test_every_route_says_what_it_answers(schema):
    found = set()
    for route, said in operations(schema):
        found.add(route)
        successes = [answer for status, answer in said["responses"].items() if status.startswith("2")]
        assert successes, route
        for success in successes:
            if route in NO_BODY:
                assert "content" not in success, route
            elif route not in OWN_SCHEMA:
                assert all(named(kind["schema"]) for kind in success["content"].values()), route
    assert found >= OWN_SCHEMA | NO_BODY
    assert len(found) > 25


def test_every_route_says_how_it_refuses(schema):
    for route, said in operations(schema):
        for status in ("4XX", "5XX", "422"):
            refused = said["responses"][status]["content"]["application/json"]["schema"]
            assert refused == {"$ref": "#/components/schemas/ErrorAnswer"}, (route, status)


def test_every_body_is_of_fields_with_types(schema):
    models = schema["components"]["schemas"]
    bodies = {route: said["requestBody"] for route, said in operations(schema) if "requestBody" in said}
    for route, body in bodies.items():
        reference = body["content"]["application/json"]["schema"]["$ref"]
        fields = models[reference.rpartition("/")[2]]["properties"]
        assert all("type" in field or "$ref" in field for field in fields.values()), route
        assert not any(field.get("additionalProperties") for field in fields.values()), route
    assert len(bodies) == 20


def test_the_document_lists_every_route(schema):
    text = (ROOT / "docs" / "http.md").read_text()
    said = re.findall(r"/(?:api|datasets)(?:/(?:\{[^}]*\}|[^\s`?{}/|,)]+))*", text)
    listed = {re.sub(r"\{[^}]*\}", "{}", path) for path in said}
    asked = {path for path, methods in schema["paths"].items() if methods.keys() != {"options"}}
    assert {re.sub(r"\{[^}]*\}", "{}", path) for path in asked} - listed == set()


def codes() -> set[str]:
    """Return every code that the rooms' sources name."""
    kinds = {*_STATUS, RegistrationError, *RegistrationError.__subclasses__()} - {GateError}
    kinds |= {kind for kind in vars(refusals).values() if isinstance(kind, type) and issubclass(kind, NAMED)} - ABSTRACT
    found = {code_of(kind) for kind in kinds}
    for room in ("teleop", "recorder", "rewards", "armshare"):
        for file in (ROOT / room).rglob("*.py"):
            for call in ast.walk(ast.parse(file.read_text())):
                if isinstance(call, ast.Dict):
                    found |= set(tabled(call))
                if isinstance(call, ast.Call):
                    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                    if name == "Said" and not isinstance(call.args[0], ast.Constant):
                        continue  # another class of that name
                    if name in MAKERS and len(call.args) > 1:
                        found |= {
                            one.value
                            for one in ast.walk(call.args[MAKERS[name]])
                            if isinstance(one, ast.Constant) and isinstance(one.value, str)
                        }
    return found - {"http_", "gate"}  # a gate's error is answered by its own class's name


def tabled(table: ast.Dict) -> Iterator[str]:
    """Yield the codes of a table from errors to a status, or to a status and a code."""
    for key, value in zip(table.keys, table.values, strict=True):
        if not isinstance(key, ast.Name) or not key.id.endswith("Error"):
            continue
        if isinstance(value, ast.Constant) and value.value in range(400, 600):
            yield re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key.id.removesuffix("Error")).lower()
        if isinstance(value, ast.Tuple) and isinstance(value.elts[1], ast.Constant):
            yield str(value.elts[1].value)


def test_every_code_is_in_one_style_and_the_document_lists_just_these():
    found = codes()
    assert [code for code in found if not re.fullmatch(CODE, code)] == []
    listed = re.findall(r"^\| `([a-z_]+)` \| \d{3} \|", (ROOT / "docs" / "http.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(found)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/robots/nobody", None, 404, "unknown_robot"),
        ("GET", "/api/nothing", None, 404, "http_404"),
        ("PUT", "/api/robots", None, 405, "http_405"),
        ("POST", "/api/claim", None, 401, "auth"),
        ("POST", "/api/settle", None, 401, "auth"),
        ("GET", "/api/operators/ada", None, 422, "address"),
        ("POST", "/api/auth/challenge", {"address": 1}, 422, "invalid"),
        ("POST", "/api/auth/challenge", {"address": "0x" + "a" * (100 << 10)}, 413, "body_too_large"),
        ("POST", "/api/robots", {"registration": {"name": [[[]]]}, "signature": "0x"}, 422, "invalid"),
        ("GET", "/api/episodes/none", None, 404, "unknown_episode"),
        ("GET", "/api/episodes?after=nowhere", None, 422, "cursor"),
        ("GET", "/api/log/proof/99999", None, 404, "log_index"),
        ("GET", "/assets/models/panda/nothing.stl", None, 404, "unknown_file"),
        ("POST", "/api/uploads", None, 412, "tus_version"),
    ],
)
def test_every_room_refuses_in_one_shape(client, method, path, body, status, code):
    answer = client.request(
        method, path, content=None if body is None else json.dumps(body), headers={"Content-Type": "application/json"}
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], set(error)) == (status, code, {"code", "message"})
    assert len(error["message"]) > 10
