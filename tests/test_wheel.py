"""A built wheel has all that the packages read, makes every environment, and serves the page, without the sources."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sim.catalogue import pairs
from sim.registry import env_id

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
import gymnasium
import sim.gym

assert sim.__file__.startswith(sys.prefix), sim.__file__
for name in [name for name in gymnasium.registry if name.startswith("armshare/")]:
    env = gymnasium.make(name)
    env.reset(seed=1000)
    env.step(env.action_space.sample())
    env.close()
    print(name)
"""
NOT_AMONG_ENVIRONMENTS = {
    "fastapi",
    "starlette",
    "uvicorn",
    "httpx",
    "web3",
    "eth-account",
    "sqlalchemy",
    "h5py",
    "pytest",
}
"""What an installation of the environments alone is without: web, chain, database, files of episodes."""
PINNED = re.compile(r"^([\w.-]+)==", re.MULTILINE)


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


@pytest.fixture(scope="module")
def environments_alone(wheel: Path) -> Path:
    """A fresh environment of Python with `armshare[sim]` and what that names; its folder of programs."""
    venv = wheel.parent / "alone"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    pins = re.findall(r"^([\w.-]+==[^\\\n]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    (wheel.parent / "pins.txt").write_text("\n".join(pins))
    done = pip_in(venv / "bin", "install", "-q", "--no-compile", "-c", str(wheel.parent / "pins.txt"), f"{wheel}[sim]")
    assert done.returncode == 0, done.stderr
    return venv / "bin"


def pip_in(programs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "--disable-pip-version-check"]
    return subprocess.run([*pip, *words], env=without_ours(), capture_output=True, text=True, check=False)


def without_ours() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def alone(environments_alone: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(environments_alone / program), *words],
        cwd=environments_alone.parent,
        env=without_ours(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_environments_alone_come_without_web_and_chain_and_each_of_them_is_made_and_driven(environments_alone):
    done = alone(environments_alone, "python", "-c", EVERY_ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    driven = [line for line in done.stdout.splitlines() if line.startswith("armshare/")]  # PyBullet prints as well
    assert sorted(driven) == sorted(env_id(*pair) for pair in pairs())
    listed = json.loads(pip_in(environments_alone, "list", "--format", "json").stdout)
    assert not NOT_AMONG_ENVIRONMENTS & {one["name"].lower().replace("_", "-") for one in listed}


@pytest.mark.slow
def test_the_environments_alone_can_judge_a_policy_and_say_what_is_missing_for_more(environments_alone):
    (environments_alone.parent / "still.py").write_text("def act(seen):\n    return [0.0] * 7\n")
    words = ["--env", "armshare/Lift-Panda-v0", "--seeds", "1000:1002", "--max-steps", "3", "--workers", "1"]
    judged = alone(environments_alone, "armshare", "evaluate", "--policy", "still:act", *words)
    assert "0 of 2 succeeded" in judged.stdout, judged.stderr
    for command in (["run"], ["record", "--task", "lift", "--expert", "--to", "episodes"]):
        done = alone(environments_alone, "armshare", *command)
        assert done.returncode == 2
        assert "pip install 'armshare[platform]'" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_platform_names_all_that_the_lock_has_for_it():
    """What `make setup` installs is what the distribution asks for, in one of its extras."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = named["optional-dependencies"]
    asked = [*named["dependencies"], *extras["sim"], *extras["platform"]]
    pinned = {name.lower() for name in PINNED.findall((ROOT / "requirements.lock").read_text())}
    names = {re.match(r"[\w.-]+", one)[0].lower() for one in asked}
    assert names - {"armshare"} <= pinned


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
