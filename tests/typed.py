"""A person at a terminal who types what a page says, in a folder of their own, beside a real platform.

`QUICK` pages are typed by every run of the tests, `LATER` commands by `make docs`, and `NOT_TYPED` ones by nobody:
`tests/test_docs.py` fails if a page has a command that stands nowhere here, or this has one that no page has.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import pytest

from armshare.operator.drive import drive_once, own_key_file
from sim.motion.control import Twist
from teleop.hardware.calibration import default_calibration
from teleop.hardware.measure import write_calibration
from teleop.identity import load_key, new_key
from teleop.operator.driver import Driver
from teleop.operator.pilot import Ask
from tests.armshare.command import armshare_here
from tests.certificates import make_certificates
from tests.conftest import House
from tests.docs import ROOT, Command, commands
from tests.emulators.feetech import FeetechBus
from tests.proxies import free_port
from tests.sim.bring.packages import WHOLE, crane
from tests.tls import in_front

QUICK: Final = ("README.md", "docs/driving.md", "docs/tutorials/robot.md")
"""Pages that every run types; the researcher's tutorial has a test of its own, `test_tutorials.py`."""
TUTORIAL: Final = "docs/tutorials/data.md"
LATER: Final = frozenset(
    {
        "make run",
        "armshare demo --episodes 3 --json",
        "armshare drive --hub URL --robot panda-1 --task lift --episodes 20 --policy docs.lift_policy:lift --json",
        "armshare robot add PATH",
        "armshare robot add PATH --data my-robots",
        "armshare run --robot iiwa --robot husky:fetch",
        # docs/tutorials/platform.md
        "git clone URL armshare",
        "cd armshare",
        "git pull",
        "ARMSHARE_PUBLIC_URL=https://arms.example armshare hub --data data",
        "armshare --log-format json hub --data data",
        # docs/operating.md
        "armshare run",
        "armshare hub --data data",
        "armshare host --robot panda --hub https://example.org/arms --data host-data",
        "armshare host --robot panda:lift,stack --robot husky:fetch --hub https://example.org/arms --data host-data",
        "armshare settle --data data",
        "armshare rescore --rules 2 --data data",
        "armshare clear panda-1",
        "armshare remove panda-1",
        "ARMSHARE_PUBLIC_URL=https://example.org/arms armshare hub --data data",
        "armshare host --robot panda --hub https://hub.lan --ca lan-ca.pem --data host-data",
        "armshare drive --hub https://hub.lan --ca lan-ca.pem --expert",
        # docs/catalogue.md
        "armshare episodes --task lift --success true --score-min 0.8 --order best --hub URL",
        "armshare fetch episodes --task lift --success true --score-min 0.8 --hub URL",
        # docs/hardware.md
        "armshare host --robot so101 --port DEVICE --calibration arm.json",
        "armshare calibrate DEVICE arm.json",
        "armshare host --robot so101 --port DEVICE --camera desk=/dev/video0 --camera wrist=2@1280x720",
        "armshare host --robot so101 --port DEVICE --camera-file cameras.json",
        # docs/adding-a-robot.md
        "armshare run --robot NAME:reach",
        "armshare host --robot NAME:reach --hub http://127.0.0.1:8000",
        "python -m pytest tests/sim/robots/test_robots.py -k xarm6_own",
        "armshare sim check --robot xarm6_own --task reach --task lift --seeds 20",
        "armshare run --robot xarm6_own",
        # docs/simulation.md
        "armshare sim check --task all",
        "armshare sim gallery",
        "armshare sim films",
        "armshare run --robot iiwa",
        "armshare run --robot iiwa:pour,peg",
        # docs/collecting.md
        "armshare record --task lift --expert --episodes 1000 --to lift-expert",
        "armshare record --task lift --policy docs.lift_policy:lift --episodes 100 --to lift-policy",
        "armshare verify lift-expert/* --score",
        "armshare export lift-expert/* --unverified --to lift-expert.hdf5",
        "armshare render EPISODE --to FOLDER --camera front --camera wrist --size 640x480 --depth --mask",
        # docs/tutorials/train.md
        "armshare record --task lift --expert --episodes 100 --to episodes",
        "armshare export episodes/* --to lift.hdf5 --format robomimic --action ee_twist --unverified",
        "python docs/lift_bc.py lift.hdf5 --to lift.npz",
        "armshare evaluate --policy docs.lift_bc:load --checkpoint lift.npz --env armshare/Lift-Panda-v0 "
        "--seeds 1000:1020 --at-least 0.75",
        "armshare evaluate --policy docs.lift_bc:load --checkpoint lift.npz --env armshare/Lift-Panda-v0 "
        "--seeds 1020:1023 --videos videos",
        # docs/troubleshooting.md
        "armshare run --port 8001",
        # docs/performance.md, with the numbers of `SMALLER`
        "python benchmarks/roundtrip.py --json --episodes 5 --seconds 20",
        "python benchmarks/collect.py --json",
        "python benchmarks/latency.py --json --presses 30",
        "python benchmarks/latency.py --json --presses 20 --size 480 320",
        "python benchmarks/spectators.py --json",
        "python benchmarks/load.py --clients 16 --seconds 15 --json",
        "python benchmarks/record.py --json",
        "python benchmarks/camera_crash.py --json",
        "python benchmarks/export.py --json --steps 400 --rounds 3",
        "python benchmarks/copies.py --json --motions 1000000 --runs 20",
        "python benchmarks/catalogue.py --rows 100000 --json",
        "python benchmarks/world.py --beside TREE --runs 9 --json",
        "python benchmarks/verify.py --beside TREE --runs 3 --episodes 4 --json",
        "python benchmarks/verify.py --beside TREE --runs 3 --episodes 8 --no-replay --json",
        # docs/scale.md
        "python benchmarks/catalogue.py --rows 1000000 --json",
        "python benchmarks/fetch.py --json",
        "python benchmarks/verify.py --json",
        "armshare sim check --task all --robot all --seeds 50 --json",
        "time armshare demo --episodes 3 --json",
    }
)
"""What only `make docs` types, as it takes long."""
_EXPORTED: Final = (
    "the tutorial types two formats; tests/armshare/cli/test_export.py has all of them, of smaller episodes"
)
_RELEASED: Final = "test_export_set.py types it of a hub with a data set; test_release.py has the public tool verify it"
_OF_A_DATA_SET: Final = "needs a data set, or an episode of one's own; `test_datasets.py` makes them"
_PRIVATE: Final = "needs a private episode and its owner's key; tests/rewards/hub/test_private_commands.py types it"
_IMPORTED: Final = "needs a data set of another format; tests/recorder/importing makes, scores and mixes some"
_OF_SEVERAL: Final = "needs several machines; `test_several_hubs.py` has two hubs, with a bus and a database"
NOT_TYPED: Final[Mapping[str, str]] = {
    "armshare hub --hub-name a --peer-url http://10.0.0.5:8000 --host 10.0.0.5 --data data-a": _OF_SEVERAL,
    "armshare hub --hub-name b --peer-url http://10.0.0.6:8000 --host 10.0.0.6 --data data-b": _OF_SEVERAL,
    "curl --silent http://10.0.0.5:8000/api/counts": _OF_SEVERAL,
    "armshare privacy ROBOT": _PRIVATE,
    "armshare privacy ROBOT private --reader 0x... --reader 0x...": _PRIVATE,
    "armshare privacy ROBOT public": _PRIVATE,
    'armshare fetch FOLDER --task lift --key WALLET.key --purpose "a policy for our paper"': _PRIVATE,
    'armshare download lab/kitchen --key WALLET.key --purpose "..."': _PRIVATE,
    "armshare export lab/kitchen --format lerobot --to FOLDER --hub URL --key WALLET.key": _RELEASED,
    "armshare dataset readers lab/kitchen --reader 0x... --reader 0x...": _PRIVATE,
    "armshare rotate-key --data FOLDER": _PRIVATE,
    "armshare dataset release lab/lift --camera front --size 320x240 --hub URL": _RELEASED,
    "armshare export lab/lift@1 --to lift.hdf5 --hub URL": _RELEASED,
    "curl -s URL/api/release.pub > release.pub": _RELEASED,
    'armshare dataset create lab/lift --title "Lifts of a cube" --licence CC-BY-4.0 '
    '--search "task=lift score_min=0.8"': _OF_A_DATA_SET,
    'armshare dataset append lab/lift EPISODE --reason "three more"': _OF_A_DATA_SET,
    'armshare dataset withdraw lab/lift EPISODE --reason "the camera was covered"': _OF_A_DATA_SET,
    "armshare dataset merge lab/lift lab/other@3": _OF_A_DATA_SET,
    'armshare dataset describe lab/lift --title "Lifts of cubes" --description @README.md': _OF_A_DATA_SET,
    "curl -s URL/api/sets/lab/lift/versions/3/document | sha256sum": _OF_A_DATA_SET,
    "armshare dataset card lab/lift@3 --check --hub URL": _OF_A_DATA_SET,
    "armshare dataset card lab/lift@3 --check --episodes episodes --hub URL": _OF_A_DATA_SET,
    "armshare dataset show lab/lift@3 --to FOLDER --hub URL": _OF_A_DATA_SET,
    "armshare dataset card FOLDER --check": _OF_A_DATA_SET,
    'armshare drive --withdraw EPISODE --reason "I do not want it used any more"': _OF_A_DATA_SET,
    "armshare download lab/lift@3 --hub URL": "`test_house.py` downloads, damages and repairs one",
    "curl -s URL/api/sets/lab/lift/versions/3/croissant.json": "`test_described.py` has mlcroissant read one of a hub",
    "armshare import lift.hdf5 --to imported": _IMPORTED,
    "armshare score imported/*": _IMPORTED,
    "armshare export episodes/* imported/* --to mixed --format lerobot --unverified": _IMPORTED,
    "armshare drive --another-look EPISODE": "needs an episode that a gate refused; `test_held.py` has one",
    "armshare hub --data data --database postgresql://armshare@localhost/armshare": "needs a server that is called so; "
    "`test_postgresql.py` has one of its own",
    "armshare episodes --mine --withdrawn": "needs a wallet that has withdrawn one; `test_own_episodes.py` has one",
    "armshare host --robot xarm6_gripper --port 192.168.1.201": "needs the arm; `test_xarm_drive.py` emulates it",
    "armshare host --robot ur5e_gripper --port 192.168.1.10": "needs the arm; `test_ur.py` has an emulated one",
    "pip install 'armshare[platform,xarm]'": "installs packages, from the network; CI has the same by its lock",
    "pip install 'armshare[platform,ur]'": "installs packages, from the network; CI has the same by its lock",
    **dict.fromkeys(
        (
            "armshare worker --database postgresql://armshare@localhost/armshare --store s3://BUCKET/PREFIX "
            "--data worker",
            "armshare worker --database postgresql://armshare@localhost/armshare --store s3://BUCKET/PREFIX "
            "--kinds verify,score --count 4",
            "armshare jobs --database postgresql://armshare@localhost/armshare",
        ),
        "needs a server and a bucket that are called so; `test_worker_processes.py` has its own",
    ),
    "armshare export episodes/* --to lift.hdf5 --camera front --dask tcp://SCHEDULER:8786": "needs a cluster; "
    "`test_cluster.py` has one of its own",
    "make test": "it is the run that this test is part of",
    "make check": "half of the run that this test is part of",
    "time make check": "half of the run that this test is part of",
    "time make pytest": "half of the run that this test is part of",
    "time python -m pytest -n 0 -q": "the tests once more, one after the other",
    "python -m pytest tests/recorder": "tests that `make test` runs",
    "make pytest ARGS='tests/recorder -x'": "tests that `make test` runs",
    "make pytest ARGS='--durations=40'": "the tests once more",
    "make docs": "it is the run that types the pages",
    "make lint": "CI runs it before the tests",
    "make setup": "installs packages for minutes, from the network; CI begins with it",
    "pip install torch": "installs packages for minutes, from the network; the tests' torch is in .venv-peers",
    "npm ci": "installs packages, from the network; CI begins with it, by `make setup`",
    "make lock": "asks the package index for newer versions, and rewrites requirements.lock",
    "make fuzz": "random examples, for many minutes",
    "python benchmarks/read.py --json --episodes 2 --lance PYTHON": "needs LeRobot and Lance, of `make lerobot`",
    "python -m rewards.score.references.make --to FOLDER": "drives 600 episodes, for minutes; a test makes a small set",
    "python docs/scoring_pictures.py --to docs/pictures/scoring": "redraws what is in the repository",
    "python benchmarks/score.py --json --score-lerobot CHECKOUT": "needs a checkout of score_lerobot_episodes",
    "armshare study quality --to docs/evidence": "an hour; a test types it with --small",
    "python benchmarks/scale.py --json": "a million episodes, for an hour; tests/test_benchmarks.py has a hundred",
    "make bench": "every benchmark, for half an hour; performance.md's lines are typed one by one",
    "make soak": "ten thousand connections, for four minutes of a quiet machine",
    "make lerobot": "installs LeRobot and torch, 6 GB, with a Python 3.12",
    "make newest": "installs another robomimic; `make test` reads the same export with the one that it has",
    "armshare export episodes/* --to lift.hdf5 --pins hub.json": _EXPORTED,
    "armshare export episodes/* --to lift --format lerobot --camera front --size 320x240 --pins hub.json": _EXPORTED,
    "armshare export episodes/* --to lift.hdf5 --camera front --size 84x84 --pins hub.json": _EXPORTED,
    "armshare export episodes/* --to lift --format lerobot --camera wrist --size 320x240 --pins hub.json": _EXPORTED,
    "armshare export episodes/* --to lift-wrist --format lerobot --camera wrist --camera front_depth --size 224x224 "
    "--pins hub.json": _EXPORTED,
    "armshare export episodes/* --to act --format act --camera front --length 400 --pins hub.json": _EXPORTED,
    "armshare export episodes/* --to mcap --format mcap --pins hub.json": _EXPORTED,
    "armshare export episodes/* --to lance --format lance --camera front --size 320x240 --pins hub.json": _EXPORTED,
    "armshare evaluate --policy MODULE:NAME --env armshare/Lift-Panda-v0 --camera front --camera wrist "
    "--size 320x240": "needs a policy that sees; test_evaluate_command.py has one",
    "python tests/peers/act_reads.py CHECKOUT act front": "ACT is in no package index",
    "python tests/peers/rerun_reads.py episode.h5 episode.rrd": "needs rerun-sdk, whose reader is experimental",
    "make mutants": "half a day",
    "make mutants ARGS=\"'teleop.safety*'\"": "changes the code a hundred times, and runs tests for each",
    "make corpus-pythons": "needs three interpreters, and compiles PyBullet for ten minutes",
    "make corpus-pythons ARGS='3.11 3.13'": "needs two interpreters, and compiles PyBullet for ten minutes",
    "python benchmarks/network.py --episodes 12": "six minutes of a quiet machine, whatever the number",
    "python benchmarks/render.py --json --pictures docs/renderers": "needs MuJoCo's and PyBullet's renderers, minutes",
    "armshare drive --hub URL --policy docs.lift_policy:lift --gamepad /dev/input/js0": "needs a gamepad; "
    "test_takeover.py stands in for one",
    "armshare drive --hub URL --gamepad /dev/input/js0": "needs a gamepad; test_gamepad.py stands in for one",
    "rsync -a --delete data/ backup/": "rsync is not among what the tests need; it is a plain copy of a folder",
}
"""What no test types, and why."""
SMALLER: Final = {
    "--episodes": "1",
    "--seconds": "2",
    "--presses": "3",
    "--clients": "2",
    "--runs": "1",
    "--rounds": "1",
    "--steps": "40",
    "--motions": "20000",
    "--rows": "2000",
}
"""What `make docs` measures with less, as it only shows that the line works: of benchmarks, and of many episodes."""
MEASURES: Final = ("python benchmarks/", "armshare record")
UNABRIDGED: Final = ("armshare record --task lift --expert --episodes 100 --to episodes",)
"""What is typed with all that it has, as what a page does next is worth nothing with less."""
ENDS: Final = {
    "armshare drive --hub URL --episode EPISODE_FOLDER": (0, 1, 2),
    "armshare score EPISODE_FOLDER --explain": (0, 1),
    "armshare score EPISODE_FOLDER --rules 2 --json": (0, 1),
}
"""How else a line may end than with 0: the same motion among things that lie elsewhere need not succeed, and an episode
that is verified need not be accepted."""
_SERVES: Final = ("run", "hub", "host")
_OF_WHO_RUNS_IT: Final = ("armshare clear", "armshare remove", "armshare settle", "armshare rescore")
"""What is typed by whoever runs the platform and its robots, and so in its folder."""
_READY_S: Final = 90.0
_UP: Final = np.array([[0.0, 0.0, 0.05, 0.0, 0.0, 0.0]])
_STEPS: Final = 12
"""How long the drives are that are only there to be signed later."""


def typed_lines(page: str, *, all_of_it: bool) -> list[str]:
    """Return what is typed of a page, in order; what takes long is left to `make docs`."""
    left_out = {*NOT_TYPED} if all_of_it else {*NOT_TYPED, *LATER}
    return [one.text for one in commands() if one.page == page and one.text not in left_out and _is_whole(one)]


def _is_whole(one: Command) -> bool:
    """Whether it stands on a line of its own, or within a sentence and is complete all the same."""
    return not one.named or one.text in ("armshare sim list --json", "armshare robot list", "armshare robot check NAME")


def _is_simulated(bundle: Path) -> bool:
    """Whether an episode can be drawn: the platform has the emulated arm's, too."""
    return bool(json.loads((bundle / "manifest.json").read_bytes())["robot"]["simulated"])


class Desk:
    """The folder and the terminals of one person; everything that was started ends with it."""

    def __init__(self, folder: Path, house: House) -> None:
        """`house`: the platform that is used until a page starts its own."""
        self.folder, self.house, self._stack = folder, house, ExitStack()
        self.own_port = free_port()
        self._own_hub = False
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._bus: FeetechBus | None = None
        self._waiting: list[str] = []
        (folder / "docs").mkdir()
        for name in ("lift_policy.py", "lift_bc.py"):
            shutil.copy(ROOT / "docs" / name, folder / "docs")
        asyncio.run(self._until(lambda cards: self._brought(cards, house.data) > 0))

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        for kind in [*self._running]:
            self.end(kind)
        self._stack.close()

    @property
    def hub(self) -> str:
        """The hub's URL: that of the page's own platform, once it has started one."""
        return f"http://127.0.0.1:{self.own_port}" if self._own_hub else self.house.url

    @property
    def data(self) -> Path:
        """The folder of whoever runs the hub."""
        return self.folder / "data" if self._own_hub else self.house.data

    def type(self, line: str) -> str:
        """Run a line as a person would; return what it printed. Fails if it does."""
        self._prepare(line)
        text = self._filled(line)
        words = shlex.split(text)
        if line == "cd armshare":
            assert (self.folder / "armshare" / "Makefile").is_file()
            return ""
        if line == "make run":
            return self._serve(
                "run", [str(ROOT / ".venv/bin/armshare")], by=["make", "-C", str(ROOT), "-o", ".setup/web"]
            )
        program = next(at for at, word in enumerate(words) if word == "armshare" or "=" not in word)
        serves = next((word for word in words[program + 1 :] if word in _SERVES), None)
        if words[program] == "armshare" and serves:
            given = dict(word.split("=", 1) for word in words[:program])
            return self._serve(serves, words[program:], **given)
        if words[0] == "armshare" and words[1] == "calibrate":
            return self._calibrate(words)
        apart = "--policy" in words or words[1:2] == ["record"] or "xarm6_own" in line
        if words[0] == "armshare" and not apart:
            return self._here(line, words[1:])
        return self._in_a_shell(line, text)

    def end(self, kind: str) -> None:
        """End what was started by `run`, `hub` or `host`, if it is running."""
        process = self._running.pop(kind, None)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself, and whoever waits for it says why
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            process.communicate(timeout=60)

    def environment(self, line: str = "") -> dict[str, str]:
        """Return the environment that a line is typed in."""
        own = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ARMSHARE_HUB": self.hub,
            "ARMSHARE_PORT": str(self.own_port),
            "ARMSHARE_DATA": str(self.data if line.startswith(_OF_WHO_RUNS_IT) else self.folder / "data"),
            "XDG_DATA_HOME": str(self.folder / "own"),
        }
        if line.startswith("python docs/"):
            own["PATH"] = f"{ROOT / '.venv-peers/bin'}:{own['PATH']}"  # which has torch
        if "xarm6_own" in line:
            own["PYTHONPATH"] = str(self._tree())
        return {**{name: value for name, value in os.environ.items() if name != "DISPLAY"}, **own}

    def _here(self, line: str, words: list[str]) -> str:
        """Run a command of ours in this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name, value in self.environment(line).items():
                patch.setenv(name, value)
            given = [found for word in words for found in self._globbed(word)]
            done = armshare_here(*given)
            if done.returncode == 1 and "--expert" in given:  # a busy machine cost it an episode; a person drives again
                done = armshare_here(*given)
        assert done.returncode in ENDS.get(line, (0,)), f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def _globbed(self, word: str) -> list[str]:
        found = sorted(path for path in self.folder.glob(word) if path.name[0] != ".") if "*" in word else []
        return [str(path.relative_to(self.folder)) for path in found] or [word]

    def _in_a_shell(self, line: str, text: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", f"{text}; command -v armshare" if line.startswith(". ") else text],
            cwd=self._place(line),
            env=self.environment(line),
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def _place(self, line: str) -> Path:
        """Return the folder that a line is typed in."""
        if line.startswith((". ", "python benchmarks/")):
            return ROOT
        if line == "git pull":
            return self.folder / "armshare"
        return self._tree() if "xarm6_own" in line else self.folder

    def _serve(self, kind: str, words: list[str], by: list[str] | None = None, **given: str) -> str:
        """Start what runs until it is ended, wait until it is there, and leave it running."""
        self.end("host")
        if kind != "host":
            for other in ("run", "hub"):
                self.end(other)
        command = [*by, "run"] if by else [str(Path(sys.executable).parent / "armshare"), *words[1:]]
        environment = {**self.environment(" ".join(words)), **given}
        if kind != "host":
            environment |= {"ARMSHARE_DATA": str(self.folder / "data"), "ARMSHARE_QUALIFICATION": "true"}
            environment["ARMSHARE_SETTLE_EVERY_S"] = "0"  # so that there is something to settle when a page does it
            self.own_port = int(words[words.index("--port") + 1]) if "--port" in words else self.own_port
        if "xarm6_own" in " ".join(words):
            command = [sys.executable, "-m", "armshare", *words[1:]]
        log = (self.folder / f"{kind}.log").open("w+")
        self._stack.callback(log.close)
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._running[kind] = process
        if kind != "host":
            self._own_hub = True
        owner = self.data if kind == "run" else self._owner(words) if kind == "host" else None
        asyncio.run(self._there(process, words, owner))
        return ""

    def _owner(self, words: list[str]) -> Path:
        return self.folder / words[words.index("--data") + 1] if "--data" in words else self.data

    async def _there(self, process: subprocess.Popen[str], words: list[str], owner: Path | None) -> None:
        """Return once the hub answers and, if robots were to come, one of that owner's is online for each wanted."""
        wanted = words.count("--robot") or 1

        def there(cards: list[dict]) -> bool:
            return owner is None or self._brought(cards, owner) >= wanted

        await self._until(there, lambda: self._require_alive(process, words))

    async def _until(self, holds: Callable[[list[dict]], bool], check: Callable[[], None] = lambda: None) -> None:
        """Return once something holds of the hub's robots."""
        async with httpx.AsyncClient(base_url=self.hub, trust_env=False) as http, asyncio.timeout(_READY_S):
            while True:
                check()
                with contextlib.suppress(httpx.HTTPError):
                    if holds((await http.get("/api/robots")).raise_for_status().json()):
                        return
                await asyncio.sleep(0.05)

    def _require_alive(self, process: subprocess.Popen[str], words: list[str]) -> None:
        logs = "".join(path.read_text()[-3000:] for path in self.folder.glob("*.log"))
        assert process.poll() is None, f"{' '.join(words)}\n{logs}"

    def _brought(self, cards: list[dict], owner: Path) -> int:
        key = owner / "keys" / "owner.key"
        return sum(one["online"] and one["owner"] == load_key(key).address for one in cards) if key.is_file() else 0

    def _filled(self, line: str) -> str:
        """Return the line with the places in it filled in."""
        if line.startswith("git clone"):
            return line.replace("URL", str(ROOT))
        if line not in UNABRIDGED and (line.startswith(MEASURES) or "--episodes 20" in line):
            line = re.sub(
                r"(--\w+) \d+", lambda found: f"{found[1]} {SMALLER.get(found[1], found[0].split()[1])}", line
            )
        if "--robot all" in line:
            line = line.replace("--seeds 50", "--seeds 1")
        filling: dict[str, Callable[[], str]] = {
            r"(?<=--hub )https://example\.org/arms": lambda: self.hub,
            r"https://hub\.lan": self._behind_tls,
            r"http://127\.0\.0\.1:8000": lambda: self.hub,
            r"(?<![\w])URL\b": lambda: self.hub,
            r"(?<=--sign )EPISODE|(?<=--discard )EPISODE": self._unsigned,
            r"EPISODE_FOLDER": lambda: f"episodes/{self._episode()}",
            r"(?<=episodes/)EPISODE": self._episode,
            r"\bEPISODE\b": lambda: f"episodes/{self._episode()}",
            r"\bFOLDER\b": lambda: "pictures",
            r"\bDEVICE\b|/dev/ttyACM0": lambda: self._device(line),
            r"\bNAME\b": lambda: "crane_2",
            r"\bPATH\b": lambda: str(crane(self.folder / "published", WHOLE).parents[1]),
            r"(?<=--port )8001": lambda: str(self.own_port),
            r"\bTREE\b": lambda: str(ROOT),
        }
        for place, value in filling.items():
            if re.search(place, line):
                line = re.sub(place, value().replace("\\", r"\\"), line)
        return line

    def _prepare(self, line: str) -> None:
        """Bring about what a page takes for granted at a line."""
        if line.startswith("armshare fetch"):
            self._driven()
        elif line == "armshare settle --data data":
            self._here("", ["drive", "--first-drive"])
            self._here("", ["drive", "--expert"])
        elif line == "armshare clear panda-1" and self._own_hub:
            self._serve("host", ["armshare", "host", "--robot", "panda", "--data", "data"])
            asyncio.run(self._until(lambda cards: _online(cards, "panda-1") == 1))
            asyncio.run(self._stop("panda-1"))
        elif line.startswith("armshare clear"):
            asyncio.run(self._stop(line.split()[2]))
        elif line.startswith("armshare remove"):
            self.end("host")
            name = line.split()[2]
            asyncio.run(self._until(lambda cards: not _online(cards, name)))
        elif "arm.json" in line and "host" in line and not (self.folder / "arm.json").is_file():
            write_calibration(self.folder / "arm.json", default_calibration())
        elif line == "armshare host --robot NAME:reach --hub http://127.0.0.1:8000":
            self.end("run")
            self._serve("hub", ["armshare", "hub"])

    async def _stop(self, name: str) -> None:
        async with Driver(self.hub, new_key()) as passer_by:
            (robot,) = [
                one["robot"]
                for one in await passer_by.call("GET", "/api/robots")
                if one["online"] and one["name"] == name
            ]
            await passer_by.send({"type": "watch", "robot": robot})
            await passer_by.wait_for("watching")
            await passer_by.send({"type": "estop", "robot": robot})
            await passer_by.wait_for("estopped")

    def _driven(self) -> None:
        """Have at least one episode at the hub."""
        if not httpx.get(f"{self.hub}/api/episodes?state=verified", trust_env=False).json()["episodes"]:
            self._here("", ["drive", "--expert"])

    def _episode(self) -> str:
        """Return the id of an episode whose folder is below `episodes`."""
        if not any((self.folder / "episodes").glob("*")):
            self._driven()
            self._here("", ["fetch", "episodes", "--limit", "5"])
        return next(path.name for path in sorted((self.folder / "episodes").iterdir()) if _is_simulated(path))

    def _unsigned(self) -> str:
        """Return an episode that this person drove, and that waits for their signature."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_DATA_HOME", str(self.folder / "own"))
            key = load_key(own_key_file())
        return asyncio.run(_leave_unsigned(self.hub, key))

    def _device(self, line: str) -> str:
        """Return the port of an arm; of one as it was assembled, if nothing says how it was calibrated."""
        if self._bus is None or "arm.json" not in line:
            self.end("host")
            if self._bus is not None:
                self._bus.close()
            self._bus = FeetechBus()
            self._stack.callback(self._bus.close)
        return self._bus.device

    def _calibrate(self, words: list[str]) -> str:
        """Do what the command asks for: press Enter, and move every joint to both ends."""
        self.end("host")
        assert self._bus is not None
        command = [str(Path(sys.executable).parent / "armshare"), *words[1:]]
        said = []
        with subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for line in iter(process.stdout.readline, ""):
                said.append(line)
                if "both ends" in line:
                    _swing(self._bus)
                if "Press Enter" in line:
                    process.stdin.write("\n")
                    process.stdin.flush()
        assert process.returncode == 0, "".join(said)
        return "".join(said)

    def _behind_tls(self) -> str:
        """Return the URL of the hub behind a certificate by the authority in `lan-ca.pem`."""
        certificates = make_certificates(self.folder / "tls")
        shutil.copyfile(certificates.authority, self.folder / "lan-ca.pem")
        port = self._stack.enter_context(in_front(int(self.hub.rpartition(":")[2]), certificates))
        return f"https://localhost:{port}"

    def _tree(self) -> Path:
        """Return a copy of the sources with the robot that docs/adding-a-robot.md adds by hand."""
        tree = self.folder / "tree"
        if not tree.exists():
            known = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
            native = [str(path.relative_to(ROOT)) for path in (ROOT / "sim/motion").glob("_native*.so")]
            for name in [*known.stdout.splitlines(), *native]:
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, tree / name)
            for made in ("node_modules", "armshare/web/dist"):
                (tree / made).symlink_to(ROOT / made)
            page = (ROOT / "docs/adding-a-robot.md").read_text()
            (file,) = [
                block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "DESCRIPTION: Final" in block
            ]
            (tree / "sim/robots/xarm6_own.py").write_text(file)
            _add_to(tree / "sim/catalogue.py", "ROBOTS")
            _add_to(tree / "sim/tasks/__init__.py", "SINGLE_ARMS")
        return tree


def _online(cards: list[dict], name: str) -> int:
    """Return how many robots of that name are online."""
    return sum(one["online"] for one in cards if one["name"] == name)


def _add_to(file: Path, names: str) -> None:
    """Put `xarm6_own` first in a tuple of names."""
    text, count = re.subn(rf"^({names}\b[^=]*= \()", r'\1"xarm6_own", ', file.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{names} in {file}"
    file.write_text(text)


def _swing(bus: FeetechBus) -> None:
    """Move every joint to both ends, staying at each until it was seen there."""
    for change in (800, -1600):
        for servo in bus.servos.values():
            servo.shaft += change
        for _ in range(2):
            bus.next_request(0x82)


class _Short:
    """A pilot that moves up for a moment, and finishes."""

    def __init__(self, *_: object) -> None:
        self._left = _STEPS

    def act(self, _state: object, _values: object) -> Twist | Ask:
        self._left -= 1
        return Twist(_UP, np.ones(1)) if self._left else Ask.FINISH


async def _leave_unsigned(hub: str, wallet: object) -> str:
    """Drive an episode of a wallet and do not sign it; return its id once it can be signed."""
    async with Driver(hub, wallet) as driver:
        cards = await driver.call("GET", "/api/robots")
        robot = next(one for one in cards if one["online"] and one["name"].startswith("panda"))
        await driver.join(robot["robot"], robot["tasks"][0]["name"])
        ended = await drive_once(driver, robot["robot"], _Short)
        await driver.leave()
        arrival = f"/api/episodes/{ended['episode']}/arrival?wait_s=2"  # which waits itself
        while (await driver.call("GET", arrival))["state"] != "uploaded":
            pass
        return str(ended["episode"])


def options_typed() -> set[tuple[str, ...]]:
    """Return every command of ours with each option that stands on a line of its own somewhere."""
    return {pair for one in commands() if _is_whole(one) and one.words[0] == "armshare" for pair in options_of(one)}


def options_of(one: Command) -> Iterator[tuple[str, ...]]:
    """Yield a command's name with each of its options; the name alone first."""
    words = one.words[3:] if one.words[1] == "--log-format" else one.words[1:]
    groups = 2 if words[0] in ("sim", "robot") else 1
    yield tuple(words[:groups])
    yield from ((*words[:groups], word) for word in words if word.startswith("--"))
