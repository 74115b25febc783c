"""A built wheel has all that the packages read, makes every environment, and serves the page, without the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("sim", "teleop", "recorder", "rewards", "armshare")
SOURCES = ("armshare/web/", "rewards/chain/contracts/src/")
"""What only a build reads."""
BUILD_ONLY = {
    "sim/motion/_native.c",
    "rewards/chain/contracts/build.mjs",
    "rewards/chain/contracts/package.json",
    "teleop/wire/signalling.schema.json",
}
EVERY_ENVIRONMENT = """
import sys
import sim, sim.gym
from sim.catalogue import pairs
from sim.gym import TaskEnv
assert sim.__file__.startswith(sys.argv[1]), sim.__file__
for robot, task in pairs():
    env = TaskEnv(robot, task)
    env.reset(seed=1)
    env.close()
    print(robot, task)
"""


def tracked() -> list[str]:
    """Return the files of the packages that git knows."""
    known = subprocess.run(["git", "ls-files", "--", *ROOMS], cwd=ROOT, capture_output=True, text=True, check=True)
    return known.stdout.splitlines()


@contextmanager
def sources(folder: Path, *, page: bool) -> Iterator[Path]:
    """A clean copy of what a build reads: building writes into its sources."""
    for name in [*tracked(), "pyproject.toml", "setup.py", "README.md", "LICENSE"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    if page:
        shutil.copytree(ROOT / "armshare/web/dist", folder / "armshare/web/dist")
    yield folder


def built(folder: Path, to: Path) -> subprocess.CompletedProcess[str]:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-build-isolation",
        "--no-deps",
        "--disable-pip-version-check",
    ]
    return subprocess.run([*pip, "-w", str(to), str(folder)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    with sources(place / "sources", page=True) as folder:
        done = built(folder, place)
    assert done.returncode == 0, done.stderr
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The wheel's files as an installer lays them out, away from the sources."""
    site = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    return site


def run(installed: Path, *command: str, **more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), **more}
    return subprocess.Popen(
        [sys.executable, *command], cwd=installed.parent, env=environment, text=True, stdout=subprocess.PIPE
    )


def test_every_file_that_the_packages_read_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as file:
        inside = set(file.namelist())
    needed = {name for name in tracked() if not name.startswith(SOURCES) and not name.endswith(".md")} - BUILD_ONLY
    assert not needed - inside
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "armshare/web/dist").rglob("*") if path.is_file()}
    assert page
    assert not page - inside
    assert not {name for name in inside if name.startswith("armshare/web/") and name not in page}
    assert any(name.startswith("sim/motion/_native.") and name.endswith(".so") for name in inside)


def test_it_makes_every_environment(installed):
    done = run(installed, "-c", EVERY_ENVIRONMENT, str(installed))
    said, _ = done.communicate()
    assert done.returncode == 0
    assert len(said.splitlines()) > 20


def test_its_command_line_runs_a_platform_that_serves_the_page(installed, tmp_path):
    anvil = [str(path.parent) for path in ROOT.glob("node_modules/@foundry-rs/anvil-*/bin/anvil")]
    path = os.pathsep.join([*anvil, os.environ["PATH"]])
    process = run(installed, "-m", "armshare", "run", "--port", "0", "--data", str(tmp_path / "data"), PATH=path)
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if "armshare is at" in line)
        url = next(word for word in line.split() if word.startswith("http"))
        page = httpx.get(url)
        assert page.status_code == 200
        assert '<div id="app">' in page.text
        assert httpx.get(f"{url}/assets/models/so101/so101.urdf").status_code == 200
    finally:
        process.terminate()
        process.communicate()


def test_without_the_page_it_is_not_built_and_says_what_to_do(tmp_path):
    with sources(tmp_path / "sources", page=False) as folder:
        done = built(folder, tmp_path)
    assert done.returncode != 0
    assert "the page is not built: run `npm ci && npm run -w armshare/web build` first" in done.stdout + done.stderr
