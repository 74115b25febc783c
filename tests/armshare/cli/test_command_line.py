"""The command line, given what it cannot use: it says in one line what was expected, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from armshare.platform.processes import Child
from teleop.identity import new_key
from teleop.operator.driver import Driver
from tests.armshare.command import armshare_here
from tests.armshare.platform.test_house import armshare, robot_of
from tests.conftest import House
from tests.emulators.feetech import FeetechBus


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file that is no episode's, and a damaged episode."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "file").write_text("text")
    (folder / "list").write_text("[1]")
    (folder / "episode").mkdir()
    (folder / "episode" / "episode.h5").write_text("text")
    (folder / "episode" / "manifest.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("verify {episode} --pins {file}", 2, "{file} is not a hub's keys: it holds no JSON"),
        (
            "verify {episode} --pins {list}",
            2,
            "{list} is not a hub's keys: it lacks chain_id, vault, hub and log_public_key",
        ),
        ("verify {episode} --pins {missing}", 2, "{missing} cannot be used: No such file or directory"),
        ("verify {here}", 1, "BundleIncomplete"),
        (
            "export {here} --to {file} --format robomimic",
            2,
            "{here} is not a complete episode: missing",
        ),
        ("export {episode} --to {file} --format act", 2, "{episode} is not a complete episode: "),
        ("export {episode} --to {file}", 2, "Which format should {file} have? Give --format: robomimic, lerobot"),
        ("replay {episode}", 2, "error: {episode}: episode.h5 is not a complete"),
        ("drive --episode {episode} --hub {hub}", 2, "error: {episode}: episode.h5 is not a complete"),
        ("drive --expert --hub nonsense", 2, "'nonsense' is not the address of a hub"),
        ("drive --expert --hub {tls}", 2, "try http://"),
        ("fetch {file} --hub {hub} --operator bob", 2, "operator must be an address"),
        ("fetch {missing} --hub {hub} --task nosuch", 0, "no verified episodes found for task nosuch"),
        ("demo --data {file}", 2, "{file} is a file, and a folder is needed"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(house: House, here: Path, arguments: str, code: int, said: str):
    refused(armshare_here, house, here, arguments, code, said)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("fetch {missing} --hub {hub} --task nosuch", 0, "no verified episodes found for task nosuch"),
        ("verify {here}", 1, "BundleIncomplete"),
        ("replay {episode}", 2, "error: {episode}: episode.h5 is not a complete"),
        ("drive --expert --hub nonsense", 2, "'nonsense' is not the address of a hub"),
        ("run --data {file} --port 0", 2, "{file} is a file, and a folder is needed"),
    ],
)
def test_a_process_ends_with_each_code_and_has_said_why(house: House, here: Path, arguments: str, code: int, said: str):
    """One of each way to end, of those that are tried above without a process; and one that a child of it says."""
    refused(armshare, house, here, arguments, code, said)


def refused(run: Callable[..., CompletedProcess[str]], house: House, here: Path, arguments: str, code: int, said: str):
    """Check what a command says and leaves, run in a process or here."""
    names = {name: str(here / name) for name in ("file", "list", "episode", "missing")}
    names |= {"here": str(here), "hub": house.url, "tls": house.url.replace("http", "https")}
    before = sorted(here.rglob("*"))
    done = run(*(part.format(**names) for part in arguments.split()))
    text = " ".join((done.stdout + done.stderr).replace("│", " ").split())
    assert said.format(**names) in text
    assert "Traceback" not in text
    assert done.returncode == code
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PRICES", "abc", 'error parsing value for field "prices"'),
        ("PRICES", '{"lift": -1}', "ARMSHARE_PRICES_LIFT: Input should be greater than or equal to 0"),
        ("LEASE_S", "-5", "ARMSHARE_LEASE_S: Input should be greater than 0"),
        ("WORKERS", "0", "ARMSHARE_WORKERS: it may be 0 only with a database and a bucket"),
        ("DASK", "somewhere", "ARMSHARE_DASK: String should match pattern"),
    ],
)
def test_a_setting_that_cannot_be_is_said_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
):
    monkeypatch.setenv(f"ARMSHARE_{name}", value)
    done = armshare_here("hub", "--data", str(tmp_path), "--port", "0")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def robots(house: House) -> list[str]:
    return [one["name"] for one in httpx.get(f"{house.url}/api/robots").json()]


def test_run_takes_no_port_that_is_taken_and_brings_no_robot_there(house: House, tmp_path: Path):
    before = robots(house)
    done = armshare_here("run", "--data", str(tmp_path), "--port", house.url.rpartition(":")[2])
    assert done.returncode == 2
    assert "Choose another --port" in done.stderr
    assert robots(house) == before
    assert not (tmp_path / "host").exists()


def test_a_folder_has_one_hub_and_a_robot_one_host(house: House):
    hub = armshare("run", "--data", str(house.data), "--port", "0")
    assert hub.returncode == 2
    assert f"another hub runs on {house.data}" in hub.stderr
    host = armshare("host", "--robot", "panda", "--hub", house.url, "--data", str(house.data))
    assert host.returncode == 2
    assert f"another host of panda-1 runs on {house.data / 'host' / 'panda-1'}" in host.stderr


def test_a_real_arm_that_is_not_there_is_not_listed(house: House, tmp_path: Path):
    before = robots(house)
    arm = ["--robot", "so101", "--port", "/dev/nobody", "--name", "nobody"]
    done = armshare("host", *arm, "--hub", house.url, "--data", str(tmp_path))
    assert done.returncode == 2
    assert "/dev/nobody" in done.stderr
    assert robots(house) == before


@pytest.fixture
def arm(house: House, tmp_path: Path) -> Iterator[tuple[Path, Child]]:
    """A second owner's arm, and their folder."""
    with FeetechBus() as bus, (tmp_path / "log").open("wb") as log:
        named = ["--robot", "so101", "--port", bus.device, "--name", "passing"]
        host = Child("host", ["host", *named, "--hub", house.url, "--data", str(tmp_path)], log)
        try:
            yield tmp_path, host
        finally:
            host.stop()


def until(house: House, name: str, state: str) -> None:
    """Return once the robot of that name is in that state."""

    async def wait() -> None:
        async with Driver(house.url, new_key()) as visitor:
            await robot_of(visitor, name, state)

    asyncio.run(wait())


def test_its_owner_alone_removes_a_robot_that_is_away_and_its_host_brings_it_back(
    house: House, arm: tuple[Path, Child]
):
    folder, host = arm
    remove = ["remove", "passing", "--hub", house.url, "--data"]
    until(house, "passing", "free")
    there = armshare_here(*remove, str(folder))
    assert (there.returncode, "end its host first" in there.stderr) == (2, True)
    host.stop()
    until(house, "passing", "offline")
    stranger = armshare_here(*remove, str(house.data))
    assert (stranger.returncode, "only the owner" in stranger.stderr) == (2, True)
    done = armshare_here(*remove, str(folder))
    assert done.returncode == 0, done.stderr
    assert "passing" not in robots(house)
    again = Child(
        "host", ["host", "--robot", "panda", "--name", "passing", "--hub", house.url, "--data", str(folder)], None
    )
    try:
        until(house, "passing", "free")
    finally:
        again.stop()
    assert armshare_here(*remove, str(folder)).returncode == 0
