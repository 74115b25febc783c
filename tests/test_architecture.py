"""The plan of the house, held: directions, what an import loads, and names that are ours."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[1]
ROOMS = ("sim", "teleop", "recorder", "rewards", "armshare")
_TYPED = {"msgspec.convert", "msgspec.json.decode"}
HEAVY = {"pybullet", "fastapi", "web3", "h5py", "uvicorn", "sqlalchemy", "httpx", "scservo_sdk"}


def test_every_import_points_left():
    assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("sim", set()),
        ("sim.robot", set()),
        ("sim.motion.kinematics", set()),
        ("sim.catalogue", set()),
        ("teleop", set()),
        ("teleop.wire.messages", set()),
        ("teleop.safety", set()),
        ("teleop.host.session", set()),
        ("recorder", set()),
        ("recorder.proof.verify", {"h5py"}),
        ("rewards", set()),
        ("rewards.ledger.settle", set()),
        ("rewards.score.score", {"h5py"}),
        ("armshare.platform.hub", HEAVY - {"pybullet", "scservo_sdk"}),
        ("armshare.__main__", HEAVY - {"pybullet", "scservo_sdk", "web3", "h5py", "sqlalchemy"}),
    ],
)
def test_importing_a_room_loads_no_other_rooms_heavy_library(module, allowed):
    program = f"import json, sys, {module}; print(json.dumps(sorted(set({sorted(HEAVY)!r}) & sys.modules.keys())))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(json.loads(done.stdout.splitlines()[-1])) <= allowed


def modules() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "node_modules" not in path.parts]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text())), "a module opens with a sentence that says what it is"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_reads_json_into_structs_is_made_at_import(path):
    """msgspec fills a struct's table of types at its first use, without a lock.

    Two threads at once crash the process there: a host whose robots' first episodes ended together did. Made at import,
    a decoder has filled it before there are threads.
    """
    tree = ast.parse(path.read_text())
    calls = {node: ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    made = {call for one in tree.body if isinstance(one, ast.Assign | ast.AnnAssign) for call in ast.walk(one)}
    late = [node.lineno for node, name in calls.items() if name.endswith(".Decoder") and node not in made]
    typed = [node.lineno for node, name in calls.items() if name in _TYPED and (node.keywords or node.args[1:])]
    assert not late + typed, f"lines {late + typed}: make a msgspec.json.Decoder for the type at the module's level"


def test_the_package_ships_what_it_reads():
    """Each JSON that a room reads at import lies beside its code."""
    for name in ("teleop/wire/wire.json", "teleop/typed_data.json", "recorder/typed_data.json"):
        assert json.loads((ROOT / name).read_text())


def test_the_lock_files_have_hashes_and_name_no_host():
    pinned = (ROOT / "requirements.lock").read_text()
    entries = [line for line in pinned.splitlines() if line and line[0].isalpha()]
    assert entries
    assert all(line.endswith("\\") for line in entries), "every pin is followed by its hashes"
    assert "://" not in pinned
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    fetched = {name: one for name, one in packages.items() if name.startswith("node_modules/") and not one.get("link")}
    assert fetched
    assert not [name for name, one in fetched.items() if "resolved" in one]
    assert not [name for name, one in fetched.items() if "integrity" not in one]
