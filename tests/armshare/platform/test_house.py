"""One episode walks through every room, in the real processes; and what goes wrong on the way ends as it should."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import h5py
import httpx
import msgspec
import numpy as np
import psutil
import pytest

from armshare.platform.demo import contribute, demo, drive_once
from armshare.platform.processes import Child, platform
from recorder.file.episode import read_episode
from recorder.proof.contribute import Driven, countersign
from recorder.proof.replayed import DescriptionMismatchError, replayed
from rewards.ledger.settle import rebuild_root
from sim.physics.engine import EngineMismatchError
from teleop.identity import new_key
from teleop.operator.driver import Driver, RefusedError
from teleop.wire.messages import Mode, Safety
from tests.armshare.command import armshare_here
from tests.emulators.feetech import FeetechBus
from tests.teleop.cameras.scenes import colour_film, scene

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
ARM = 10**18


async def robot_of(driver: Driver, name: str = "panda-1", state: str = "free") -> str:
    """Return the address of the robot of that name, once it is in that state."""
    while True:
        for robot in await driver.call("GET", "/api/robots"):
            if robot["name"] == name and robot["state"] == state:
                return str(robot["robot"])
        await asyncio.sleep(0.05)


async def state_of(driver: Driver, episode: str, *states: str) -> dict:
    """Return an episode once it is in one of `states`."""
    while True:
        answer = await driver.http.get(f"/api/episodes/{episode}")
        if answer.is_success and answer.json()["state"] in states:
            return answer.json()
        await asyncio.sleep(0.05)


def armshare(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would."""
    program = [str(Path(sys.executable).parent / "armshare"), *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def walked(house, tmp_path_factory):
    """Two episodes all the way: driven, proven, scored, settled, claimed, downloaded, exported."""
    folder = tmp_path_factory.mktemp("researcher")
    told: list[str] = []
    outcome = asyncio.run(demo(house.url, house.admin_token, 2, folder, told.append))
    return outcome, folder, told


def bundle_of(walked) -> Path:
    outcome, folder, _ = walked
    return folder / "episodes" / outcome.episodes[0].episode


def test_every_stage_of_the_way_holds(walked, house):
    outcome, _, told = walked
    assert len(told) >= 8, "progress was told"
    assert all(one.success and one.score > 0.5 and int(one.pay) > 0 for one in outcome.episodes)
    assert [one.receipt_index for one in outcome.episodes] == sorted({one.receipt_index for one in outcome.episodes})
    assert int(outcome.balance) == sum(int(one.pay) for one in outcome.episodes)
    published = httpx.get(f"{house.url}/api/roots/{outcome.root}").content
    assert "0x" + rebuild_root(published).hex() == outcome.root
    with h5py.File(outcome.export) as file:
        assert sorted(file["data"]) == ["demo_0", "demo_1"]
        assert np.abs(file["data/demo_0/actions"][:]).max() <= 1.0


def test_the_command_line_verifies_the_bundle_offline_and_recomputes_the_score(walked, house, tmp_path):
    pins = tmp_path / "config.json"
    pins.write_bytes(httpx.get(f"{house.url}/api/config").content)
    done = armshare("verify", str(bundle_of(walked)), "--pins", str(pins), "--score", "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    assert {"file", "content", "operator_signature", "robot_signature", "replay", "receipt", "inclusion"} <= {
        *report["passed"]
    }
    assert report["score"]["score"] == walked[0].episodes[0].score


@pytest.mark.parametrize(
    ("name", "gate"),
    [("manifest.json", "RobotSignatureInvalid"), ("episode.h5", "FileHashMismatch")],
)
def test_one_changed_byte_is_refused_by_the_gates_name(walked, tmp_path, name, gate):
    changed = tmp_path / "changed"
    shutil.copytree(bundle_of(walked), changed)
    data = bytearray((changed / name).read_bytes())
    where = data.index(b'"episode":"') + 11 if name == "manifest.json" else len(data) // 2
    data[where] = ord("0") if data[where] != ord("0") else ord("1")
    (changed / name).write_bytes(data)
    done = armshare_here("verify", str(changed), "--json")
    assert done.returncode == 1
    (report,) = json.loads(done.stdout)
    assert report["refused"] in (gate, "ManifestDisagrees"), report


def test_the_command_line_replays_an_episode_and_names_the_first_difference(walked, tmp_path):
    done = armshare("replay", str(bundle_of(walked)), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["identical"]
    changed = tmp_path / "changed"
    shutil.copytree(bundle_of(walked), changed)
    with h5py.File(changed / "episode.h5", "r+") as file:
        file["observation/joint_velocity"][7, 3] += 1e-9
    done = armshare_here("replay", str(changed), "--json")
    assert done.returncode == 1
    (report,) = json.loads(done.stdout)
    assert report["message"].startswith("step 7, joint_velocity[3]")


def test_the_command_line_draws_what_any_camera_saw(walked, tmp_path):
    done = armshare(
        "render",
        str(bundle_of(walked)),
        "--to",
        str(tmp_path),
        "--camera",
        "wrist",
        "--size",
        "160x120",
        "--depth",
        "--mask",
    )
    assert done.returncode == 0, done.stderr
    states = walked[0].episodes[0].steps + 1
    with av.open(str(tmp_path / "wrist.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    geometry = json.loads((tmp_path / "wrist.json").read_text())
    assert len(frames) == len(geometry["extrinsics"]) == len(geometry["t_observed_mono_ns"]) == states
    assert frames[0].shape == (120, 160, 3)
    mask = cv2.imread(str(tmp_path / "wrist-mask" / f"{states - 1:06d}.png"), cv2.IMREAD_UNCHANGED)
    depth = cv2.imread(str(tmp_path / "wrist-depth" / f"{states - 1:06d}.png"), cv2.IMREAD_UNCHANGED)
    held = mask == geometry["mask_names"].index("cube")
    assert held.sum() > 50, "the cube is in the hand"
    assert 50 < np.median(depth[held]) < 300, "millimetres"
    red, green, _ = frames[-1][held].mean(axis=0)
    assert red > 1.5 * green


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--camera", "rear"], "There is no camera 'rear'. There are front, side and wrist."),
        (["--size", "0x10"], "A picture has 1 to 4096 pixels a side, and 0x10 is not within that."),
        (["--size", "wide"], "'wide' is not a size: write WIDTHxHEIGHT, such as 640x480"),
        (["--size", "161x121"], "A video needs an even width and height, and 161x121 is not."),
    ],
)
def test_a_picture_that_cannot_be_taken_is_refused_in_a_line(walked, tmp_path, options, said):
    done = armshare_here("render", str(bundle_of(walked)), "--to", str(tmp_path), *options)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert not list(tmp_path.glob("*"))


def test_a_replay_with_other_files_or_another_engine_says_so(walked):
    episode = read_episode(bundle_of(walked) / "episode.h5")
    robot = msgspec.structs.replace(episode.meta.robot, urdf_sha256={"panda.urdf": "0" * 64})
    with pytest.raises(DescriptionMismatchError, match=r"panda\.urdf"):
        replayed(dataclasses.replace(episode, meta=msgspec.structs.replace(episode.meta, robot=robot)))
    older = msgspec.structs.replace(episode.meta, engine={**episode.meta.engine, "version": "3.2.6"})
    with pytest.raises(EngineMismatchError, match=r"version 3\.2\.6"):
        replayed(dataclasses.replace(episode, meta=older))


async def test_a_claim_made_twice_pays_once(house, walked):
    async with Driver(house.url, new_key()) as driver:
        robot = await robot_of(driver)
        await driver.join(robot, "lift")
        one = await contribute(driver, await drive_once(driver, robot), robot)
        await driver.send({"type": "leave"})
        settle = {"Authorization": f"Bearer {house.admin_token}"}
        (await driver.http.post("/api/settle", headers=settle)).raise_for_status()
        claims = await asyncio.gather(
            *(driver.http.post("/api/claim") for _ in range(3)),
        )
        paid = [int(answer.json()["amount"]) for answer in claims if answer.is_success]
        assert sum(paid) == int(one.pay)
        assert sum(amount > 0 for amount in paid) == 1
        balance = await driver.call("GET", f"/api/balances/{driver.wallet.address}")
        assert (balance["wallet"], balance["claimed"]) == (one.pay, one.pay)


async def test_a_signature_sent_twice_is_logged_and_paid_once(house):
    async with Driver(house.url, new_key()) as driver:
        robot = await robot_of(driver)
        await driver.join(robot, "lift")
        ended = await drive_once(driver, robot)
        first = await contribute(driver, ended, robot)
        again = await contribute(driver, ended, robot)
        assert again == first
        balance = await driver.call("GET", f"/api/balances/{driver.wallet.address}")
        assert balance["earned"] == first.pay
        assert len(balance["entries"]) == 1


async def test_another_wallet_cannot_sign_for_the_operator(house):
    async with Driver(house.url, new_key()) as driver, Driver(house.url, new_key()) as thief:
        robot = await robot_of(driver)
        await driver.join(robot, "lift")
        ended = await drive_once(driver, robot)
        manifest = await driver.http.get(f"/api/episodes/{ended['episode']}/manifest?wait_s=10")
        with pytest.raises(RefusedError, match="not_the_operator"):
            await thief.call("POST", f"/api/episodes/{ended['episode']}/signature", {"signature": "0x" + "11" * 65})
        driven = Driven(ended["episode"], driver.wallet.address, robot, "lift")
        forged = countersign(manifest.content, driven, driver.session_key, driver.domain)
        wrong = forged[:-4] + ("0000" if forged[-4:] != "0000" else "1111")
        with pytest.raises(RefusedError, match="OperatorSignatureInvalid"):
            await driver.call("POST", f"/api/episodes/{ended['episode']}/signature", {"signature": wrong})
        assert (await contribute(driver, ended, robot)).episode == ended["episode"], "an honest one still counts"


async def test_a_discarded_episode_is_never_paid(house):
    async with Driver(house.url, new_key()) as driver:
        robot = await robot_of(driver)
        await driver.join(robot, "lift")
        ended = await drive_once(driver, robot)
        await driver.call("POST", f"/api/episodes/{ended['episode']}/discard")
        assert (await driver.call("GET", f"/api/episodes/{ended['episode']}"))["state"] == "discarded"
        with pytest.raises(RefusedError):
            await driver.call("POST", f"/api/episodes/{ended['episode']}/signature", {"signature": "0x" + "11" * 65})


async def test_the_owner_releases_a_stop_by_the_command_line(house):
    async with Driver(house.url, new_key()) as passer_by:
        robot = await robot_of(passer_by)
        await passer_by.send({"type": "watch", "robot": robot})
        await passer_by.wait_for("watching")
        await passer_by.send({"type": "estop", "robot": robot})
        await passer_by.wait_for("estopped")
        stranger = await asyncio.to_thread(armshare, "clear", "panda-1", "--hub", house.url, "--data", "/nonexistent")
        assert stranger.returncode == 2
        away = await asyncio.to_thread(
            armshare, "clear", "panda-1", "--hub", "http://127.0.0.1:9", "--data", str(house.data)
        )
        assert away.returncode == 2
        assert "No hub answers at http://127.0.0.1:9" in away.stderr
        done = await asyncio.to_thread(armshare, "clear", "panda-1", "--hub", house.url, "--data", str(house.data))
        assert done.returncode == 0, done.stderr
        assert "panda-1 is released" in done.stdout
        await passer_by.wait_for("cleared")
        assert await robot_of(passer_by) == robot
        again = await asyncio.to_thread(armshare, "clear", "panda-1", "--hub", house.url, "--data", str(house.data))
        assert (again.returncode, again.stdout) == (0, "panda-1 is not stopped: there is nothing to clear\n")


def test_run_ends_all_it_started_on_a_signal(tmp_path):
    """As a shell starts it in the background: with interrupts ignored."""
    program = [str(Path(sys.executable).parent / "armshare"), "run", "--data", str(tmp_path), "--port", "0"]
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    run = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **ignoring)
    for line in run.stdout:
        if "armshare is at" in line:
            break
    while "robot online" not in (tmp_path / "logs" / "hub.log").read_text():
        time.sleep(0.1)
    family = psutil.Process(run.pid).children(recursive=True)
    assert len(family) >= 3, "hub, host and chain"
    run.send_signal(signal.SIGTERM)
    gone, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    assert len(gone) == len(family)
    run.communicate(timeout=60)
    assert run.returncode == 0
    said = [line for log in ("hub", "host") for line in (tmp_path / "logs" / f"{log}.log").read_text().splitlines()]
    assert [line for line in said if not line.startswith("20")] == [], "nothing but lines of the log"


def test_run_says_in_one_line_that_the_hub_was_killed_and_where_its_log_is(tmp_path):
    program = [str(Path(sys.executable).parent / "armshare"), "run", "--data", str(tmp_path), "--port", "0"]
    run = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in run.stdout:
        if "armshare is at" in line:
            break
    children = psutil.Process(run.pid).children()
    hub = next(one for one in children if "hub" in one.cmdline())
    hub.kill()
    _, said = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    assert last.startswith("error: the hub was killed by SIGKILL")
    assert last.endswith(f"; its log is {tmp_path / 'logs' / 'hub.log'}")
    psutil.wait_procs(children, timeout=60)


async def test_kill_nine_in_the_middle_keeps_all_but_a_second_and_restart_loses_nothing(tmp_path):
    """The host dies mid-episode, then the whole platform is started again on the same folder."""
    wallet = new_key()
    with (tmp_path / "log").open("wb") as log:
        with platform(tmp_path, 0, ["panda"], log) as (url, (_hub, host)):
            async with Driver(url, wallet) as driver:
                robot = await robot_of(driver)
                await driver.join(robot, "lift")
                first = await contribute(driver, await drive_once(driver, robot), robot)
                ready = await driver.begin()
                await driver.armed()
                for _ in range(60):
                    await driver.command(Mode.EE_TWIST, [0.05, 0, 0, 0, 0, 0, 1], dead_man=True)
                    state = await driver.next_state()
                recorded = state.seq
                os.kill(host.process_id, signal.SIGKILL)
                with pytest.raises(RefusedError, match="host_lost"):
                    await driver.wait_for("ended")
                offline = await driver.call("GET", f"/api/robots/{robot}")
                assert offline["state"] == "offline", "the hub frees the robot"
                assert recorded > 60
        with platform(tmp_path, 0, ["panda"], log) as (url, _children):
            async with Driver(url, wallet) as driver:
                assert await robot_of(driver) == robot, "the same robot, with the same key"
                kept = await state_of(driver, ready["episode"], "invalid")
                assert (kept["valid"], kept["reason"]) == (False, "host_lost")
                assert kept["steps"] >= 60 - 20, "all but the last second"
                known = await driver.call("GET", f"/api/episodes/{first.episode}")
                assert (known["state"], known["digest"]) == ("verified", first.digest)
                balance = await driver.call("GET", f"/api/balances/{wallet.address}")
                assert balance["earned"] == first.pay
                await driver.join(robot, "lift")
                second = await contribute(driver, await drive_once(driver, robot), robot)
                assert second.receipt_index == first.receipt_index + 1


async def lifted(driver: Driver) -> dict | None:
    """Begin, and lift the hand by 2 cm; return `ready`, or None if the arm broke.

    The emulated bus is a thread of this process: beside other work it may answer too late for a real arm, which is then
    faulted until its owner clears that.
    """
    try:
        ready = await driver.begin()
    except RefusedError as error:
        if error.code != "robot_fault":
            raise
        return None
    goal, state = None, await driver.next_state()
    while state.safety is not Safety.FAULTED:
        height = driver.values(state)["ee_pose"][2]
        if goal is not None and height >= goal:
            return ready
        if state.safety is Safety.EXPIRED:
            await driver.command(Mode.NEUTRAL)
        else:
            goal = height + 0.02 if goal is None else goal
            await driver.command(Mode.EE_TWIST, [0, 0, 0.08, 0, 0, 0, 1], dead_man=True)
        state = await driver.next_state()
    return None


async def test_an_emulated_so101_comes_online_by_the_command_line_and_is_driven(house, tmp_path):
    desk = {"name": "desk", "width": 320, "height": 240, "mount": "gripper_body"}
    desk["device"] = colour_film(tmp_path / "desk.avi", [scene(number) for number in range(40)])
    (tmp_path / "cameras.json").write_text(json.dumps({"cameras": [desk]}))
    with FeetechBus() as bus, (tmp_path / "log").open("wb") as log:
        arguments = ["host", "--robot", "so101", "--port", bus.device, "--hub", house.url, "--data", str(tmp_path)]
        arguments += ["--camera-file", str(tmp_path / "cameras.json")]
        host = Child("host", arguments, log)
        try:
            async with Driver(house.url, new_key()) as driver:
                robot = await robot_of(driver, "so101-1")
                await driver.join(robot, "free")
                clear = ("clear", "so101-1", "--hub", house.url, "--data", str(tmp_path))
                while (ready := await lifted(driver)) is None:
                    while (done := await asyncio.to_thread(armshare, *clear)).returncode:
                        assert "still broken" in done.stderr, done.stderr
                ended = await driver.finish()
                assert (ended["episode"], ended["valid"], ended["success"]) == (ready["episode"], True, None)
                answer = await driver.http.get(f"/api/episodes/{ended['episode']}/manifest?wait_s=10")
                driven = Driven(ended["episode"], driver.wallet.address, robot, "free")
                signature = countersign(answer.content, driven, driver.session_key, driver.domain)
                path = f"/api/episodes/{ended['episode']}/signature"
                verified = await driver.call("POST", path, {"signature": signature})
                assert verified["state"] == "verified"
        finally:
            host.stop()
    made = read_episode(tmp_path / "host" / "so101-1" / "uploaded" / ended["episode"] / "episode.h5")
    assert len(made.pictures["desk"]) > 0, "what its camera recorded passed the hub's gates, too"
    assert made.meta.recorded["desk"].mount == "gripper_body"


def test_a_data_set_of_the_episodes_gets_its_card_by_itself_and_the_card_is_true(walked, house, tmp_path):
    ids = [one.episode for one in walked[0].episodes]
    said = "--title", "Lifts", "--licence", "CC0-1.0", "--key", str(tmp_path / "key"), "--hub", house.url
    made = armshare("dataset", "create", "lab/house", *ids, *said)
    assert made.returncode == 0, made.stderr
    until_s = time.monotonic() + 120
    while (card := httpx.get(f"{house.url}/api/sets/lab/house").json()["card"]) is None:
        assert time.monotonic() < until_s, "the card did not come"
    assert (card["episodes"], card["unread"], card["trust"]) == (len(ids), [], {"replayed": len(ids)})
    checked = armshare("dataset", "card", "lab/house", "--check", "--hub", house.url, "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert (json.loads(checked.stdout)["wrong"], json.loads(checked.stdout)["episodes"]) == ([], len(ids))
    brought = armshare("download", "lab/house", str(tmp_path / "here"), "--hub", house.url)
    assert brought.returncode == 0, brought.stderr
    assert hashlib.sha256((tmp_path / "here" / "version.json").read_bytes()).hexdigest() in brought.stdout
    assert sorted(one.name for one in (tmp_path / "here").iterdir() if one.is_dir()) == sorted(ids)
    (tmp_path / "here" / ids[0] / "episode.h5").write_bytes(b"damaged")
    repaired = armshare("download", "lab/house@1", str(tmp_path / "here"), "--hub", house.url)
    assert (repaired.returncode, f"{ids[0]} was repaired: episode.h5 has 7 of" in repaired.stderr) == (0, True)
    found = armshare("verify", *(str(tmp_path / "here" / one) for one in ids), "--no-replay", "--hub", house.url)
    assert found.returncode == 0, found.stdout
