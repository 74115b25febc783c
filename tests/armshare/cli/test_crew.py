"""What `armshare drive` says of who drives: the hub keeps it with the episode, and the operator signs it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from armshare.cli import operator
from armshare.failures import PlatformError
from armshare.operator.crews import crewed
from sim.catalogue import make_world
from teleop.operator import program, takeover
from teleop.operator.gamepad import GamepadPilot
from teleop.operator.policy import PolicyPilot, UnknownPolicyError
from teleop.wire.descriptor import describe
from teleop.wire.driver import PERSON, DriverKind
from tests.armshare.command import armshare_here
from tests.teleop.operator.test_gamepad import Device

ROOT = Path(__file__).parents[3]
PANDA = describe("panda-1", make_world("panda", "lift").spec)
GOLDEN = ROOT / "tests/recorder/golden/version-1/good"
NOBODY = {"policy": "", "expert": False, "episode": None, "gamepad": None, "first_drive": False}


def sha256(path: str) -> str:
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


@pytest.fixture
def pad(monkeypatch):
    """A pad in place of the device that is named."""
    device = Device()
    monkeypatch.setattr("armshare.operator.crews.opened", lambda _path: _Opened(device))
    yield Path("/dev/input/js0")
    device.close()


class _Opened:
    def __init__(self, device: Device) -> None:
        self.device = device

    def __enter__(self):
        return self.device.gamepad

    def __exit__(self, *_):
        return None


@pytest.mark.parametrize(
    ("who", "kind", "name", "file"),
    [
        ({"policy": "docs.lift_policy:lift"}, DriverKind.POLICY, "docs.lift_policy:lift", "docs/lift_policy.py"),
        (
            {"first_drive": True},
            DriverKind.SCRIPT,
            "teleop.operator.first_drive:FirstDrive",
            "teleop/operator/first_drive.py",
        ),
        (
            {"episode": GOLDEN},
            DriverKind.SCRIPT,
            "armshare.operator.crews:RecordingPilot",
            "armshare/operator/crews.py",
        ),
    ],
)
def test_a_program_says_its_name_and_its_files_hash(monkeypatch, who, kind, name, file):
    monkeypatch.chdir(ROOT)
    with crewed(**{**NOBODY, **who}) as crew:
        said = crew.said(PANDA, "lift")
    assert (said.kind, said.name, said.sha256) == (kind, name, sha256(file))


def test_the_expert_of_each_task_says_which_one_it_is():
    with crewed(**{**NOBODY, "expert": True}) as crew:
        lift, reach = (crew.said(PANDA, task) for task in ("lift", "reach"))
    assert {lift.kind, reach.kind} == {DriverKind.SCRIPT}
    assert (lift.name, lift.sha256) == ("sim.tasks.lift:Lift.expert", sha256("sim/tasks/lift.py"))
    assert (reach.name, reach.sha256) == ("sim.tasks.reach:Reach.expert", sha256("sim/tasks/reach.py"))


def test_a_gamepad_alone_is_a_person(pad):
    with crewed(**{**NOBODY, "gamepad": pad}) as crew:
        assert crew.said(PANDA, "lift") == PERSON
        assert isinstance(crew.make(PANDA, "lift"), GamepadPilot)


def test_a_gamepad_beside_a_policy_is_the_policys_episode(pad, monkeypatch):
    monkeypatch.chdir(ROOT)
    with crewed(**{**NOBODY, "policy": "docs.lift_policy:lift", "gamepad": pad}) as crew:
        assert crew.said(PANDA, "lift").kind is DriverKind.POLICY
        pilot = crew.make(PANDA, "lift")
        assert isinstance(pilot, takeover.Takeover)
        assert isinstance(pilot._program, PolicyPilot)


def test_nobody_drives_nothing():
    with pytest.raises(PlatformError, match="Nobody drives"), crewed(**NOBODY):
        pass


def test_a_policy_without_a_file_is_not_a_policy_that_anyone_could_name(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(UnknownPolicyError, match="has no file"), crewed(**{**NOBODY, "policy": "builtins:print"}):
        pass


def test_a_policy_that_changes_has_another_hash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    for number in range(2):
        (tmp_path / f"changing_{number}.py").write_text(f"def act(values, robot):\n    return None  # {number}\n")
        with crewed(**{**NOBODY, "policy": f"changing_{number}:act"}) as crew:
            said.append(crew.said(PANDA, "lift").sha256)
    assert len(set(said)) == 2


def test_a_program_that_says_nothing_is_a_script_by_its_own_name():
    said = program.this_program()
    assert said.kind is DriverKind.SCRIPT
    assert said.name
    assert len(said.sha256) == 64


@pytest.mark.parametrize("two", [["--expert", "--policy", "a:b"], ["--expert", "--first-drive", "--gamepad", "js0"]])
def test_two_programs_at_once_are_refused_with_or_without_a_gamepad(two):
    done = armshare_here("drive", *two)
    assert done.returncode == 2
    assert "would all drive: choose one of" in " ".join(done.stderr.replace("│", " ").split())


def test_the_help_says_that_a_gamepad_may_stand_beside_a_policy():
    assert operator.drive.__doc__
    done = armshare_here("drive", "--help")
    assert "to take over from it" in " ".join(done.stdout.replace("│", " ").split())
