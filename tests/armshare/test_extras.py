"""Whoever lacks a library is told which extra brings it."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from armshare.cli.app import _of_an_extra
from armshare.extras import command_for, extra_of

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


MODULES = {"mcap-protobuf-support": "mcap_protobuf", "pycollada": "collada", "pylance": "lance"}
"""Distributions whose module has another name."""


@pytest.mark.parametrize("extra", ["sim", "dask", "export"])
def test_each_module_is_brought_by_the_extra_that_is_named(extra: str) -> None:
    for wanted in PROJECT["optional-dependencies"][extra]:
        name = re.split(r"[<>=]", wanted)[0]
        module = MODULES.get(name, name.replace("-", "_"))
        assert find_spec(module) is not None
        assert extra_of(module) == extra


def test_what_is_missing_is_said_with_the_command_that_installs_it() -> None:
    def said(module: str) -> str:
        (error,) = _of_an_extra(ModuleNotFoundError(f"No module named {module!r}", name=module))
        return str(error)

    assert said("mcap.writer") == "This needs mcap.writer, which is not installed: pip install 'armshare[export]'"
    assert said("gymnasium").endswith("pip install 'armshare[sim]'")
    assert said("fastapi").endswith("pip install 'armshare[platform]'")
    assert command_for(["pybullet", "httpx", "pyarrow"]) == "pip install 'armshare[export,platform]'"
    assert not _of_an_extra(ModuleNotFoundError("No module named 'recorder.nothing'", name="recorder.nothing"))
