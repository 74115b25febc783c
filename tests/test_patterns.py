r"""Python's `$` also matches before a last line feed: no pattern that holds what strangers send may end in it alone."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from recorder.file.meta import Address, Decimal, Hex32, Sha256, Signature
from recorder.proof.manifest import Manifest
from teleop.wire.descriptor import Name, Url
from teleop.wire.driver import Driver
from teleop.wire.rules import RulesVersion
from teleop.wire.signalling import Stop

ROOT = Path(__file__).parents[1]
ROOMS = ("armshare", "recorder", "rewards", "sim", "teleop")
LOOKS = frozenset({"compile", "match", "search", "sub", "split", "findall", "finditer"})
PYDANTIC = frozenset({"Field", "StringConstraints"})
"""Their patterns are Rust's, in which `$` is the end, and which have no `(?!`."""


def patterns() -> Iterator[tuple[str, str]]:
    """Every pattern that is written in a call, up to its last piece, and where it is."""
    for file in sorted(one for room in ROOMS for one in (ROOT / room).rglob("*.py") if "node_modules" not in one.parts):
        for call in (one for one in ast.walk(ast.parse(file.read_text())) if isinstance(one, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            given = [one.value for one in call.keywords if one.arg == "pattern" and name not in PYDANTIC]
            given += call.args[:1] if name in LOOKS else []
            for text in given:
                last = text.values[-1] if isinstance(text, ast.JoinedStr) else text
                if isinstance(last, ast.Constant) and isinstance(last.value, str):
                    yield f"{file.relative_to(ROOT)}:{text.lineno}", last.value


def test_no_pattern_lets_a_last_line_feed_pass() -> None:
    found = dict(patterns())
    assert len(found) > 30, "there are patterns, and this finds them"
    assert any(text.endswith(r"$(?!\n)") for text in found.values())
    assert [where for where, text in found.items() if text.endswith("$") and not text.endswith(r"\$")] == []


HEX = "0x" + 64 * "a"
GOOD: dict[str, tuple[object, str]] = {
    "a stop": (Stop, HEX),
    "a digest": (Hex32, HEX),
    "a SHA-256": (Sha256, HEX[2:]),
    "an address": (Address, HEX[:42]),
    "a signature": (Signature, "0x" + 128 * "a" + "1b"),
    "a number": (Decimal, "12"),
    "a name": (Name, "an arm"),
    "a path": (Url, "/assets/models/panda/panda.urdf"),
    "rules": (RulesVersion, "3"),
}


@pytest.mark.parametrize("what", GOOD)
def test_a_line_feed_at_the_end_is_no_part_of_it(what: str) -> None:
    kind, text = GOOD[what]
    assert msgspec.convert(text, kind) == text
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text + "\n", kind)


def _driver(text: str) -> object:
    return msgspec.convert({"kind": "policy", "name": "p", "sha256": text}, Driver)


def _episode(text: str) -> object:
    kind = next(one.type for one in msgspec.structs.fields(Manifest) if one.name == "episode")
    return msgspec.convert(text, kind)


@pytest.mark.parametrize(("convert", "text"), [(_driver, HEX[2:]), (_driver, ""), (_episode, "e-1")])
def test_nor_of_a_policys_digest_or_an_episodes_id(convert: Callable[[str], object], text: str) -> None:
    if text:
        convert(text)
    with pytest.raises(msgspec.ValidationError):
        convert(text + "\n")
