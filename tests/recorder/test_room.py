"""What this room may load: the light parts stay light."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pybullet", "fastapi", "web3", "sqlalchemy", "uvicorn")


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("recorder", ()),
        ("recorder.proof.verify", ()),
        ("recorder.host.recording", ()),
        ("recorder.hub.uploads", ("sqlalchemy",)),
        ("recorder.export.robomimic", ()),
        ("recorder.export.demonstrations", ()),
        ("recorder.hub.intake", ("sqlalchemy",)),
        ("recorder.hub.api", ("sqlalchemy", "fastapi")),
    ],
)
def test_importing_a_module_loads_no_other_rooms_heavy_library(module: str, allowed: tuple[str, ...]) -> None:
    command = f"import {module}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)

    assert {name for name in HEAVY if name in loaded.stdout.split()} <= set(allowed)
