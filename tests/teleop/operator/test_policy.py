"""What a stranger's policy returns fits the robot, or the drive ends with a line that says why not."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from sim.catalogue import make_world
from sim.motion.control import Joints, Pose, Twist
from teleop.operator.pilot import Ask
from teleop.operator.policy import PolicyError, UnknownPolicyError, fitted, load
from teleop.wire.descriptor import describe

PANDA = describe("panda-1", make_world("panda", "lift").spec)
HUSKY = describe("husky-1", make_world("husky", "fetch").spec)
SIX = np.zeros(6)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module into the working directory and returns its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names: list[str] = []

    def write(text: str) -> str:
        names.append(f"policy_of_a_test_{len(names)}")
        (tmp_path / f"{names[-1]}.py").write_text(text)
        return names[-1]

    yield write
    for name in names:
        sys.modules.pop(name, None)


def asked(name: str, robot=PANDA):
    return load(name)(robot, "lift").act(None, {})


def test_one_hands_setpoint_may_leave_the_axis_of_hands_out():
    for given in (Twist(SIX, [1.0]), Twist([list(SIX)], 1.0), Twist(tuple(SIX), np.float32(1.0))):
        found = fitted(given, PANDA)
        assert (found.twist.shape, found.gripper.shape, found.base) == ((1, 6), (1,), None)
    assert fitted(Pose([0.5, 0, 0.3, 0, 0, 0, 1], 1), PANDA).pose.shape == (1, 7)
    assert fitted(Joints([0.0] * 7, 1), PANDA).position.tolist() == [0.0] * 7
    assert fitted(Twist(SIX, 1.0, [0.1, 0.2]), HUSKY).base.tolist() == [0.1, 0.2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("forward", "it returned 'forward', and not a Twist, a Pose or Joints of sim.motion.control, or None"),
        (SIX, "and not a Twist, a Pose or Joints"),
        (Twist, "and not a Twist, a Pose or Joints"),
        (Twist(np.zeros(5), [1.0]), r"expected twist of shape \(1, 6\), got \(5,\)"),
        (Twist(np.zeros((2, 6)), [1.0, 1.0]), r"expected twist of shape \(1, 6\), got \(2, 6\)"),
        (Twist(SIX, [1.0, 1.0]), r"expected gripper of shape \(1,\), got \(2,\)"),
        (Twist(SIX, None), "expected gripper of finite numbers, got"),
        (Twist("abcdef", [1.0]), "expected twist as numbers"),
        (Twist([0, 0, 0, 0, 0, np.nan], [1.0]), "expected twist of finite numbers"),
        (Twist([0, 0, 0, 0, 0, 1e300], [1.0]), "expected twist between"),
        (Twist(SIX, [1.0], [0.1, 0.0]), "panda-1 has no base that drives"),
        (Joints(SIX, [1.0]), r"expected position of shape \(7,\), got \(6,\)"),
        (Pose(np.full(7, np.inf), [1.0]), "expected pose of finite numbers"),
    ],
    ids=repr,
)
def test_what_does_not_fit_the_robot_is_refused_in_words(given, said):
    with pytest.raises(PolicyError, match=said):
        fitted(given, PANDA)


def test_a_policy_holds_by_returning_none_and_is_found_in_the_working_directory(module):
    assert asked(module("def act(values, robot): return None") + ":act") is Ask.HOLD


def test_the_policy_in_the_docs_fits(pytestconfig, module):
    page = (pytestconfig.rootpath / "docs/driving.md").read_text()
    (text,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert asked(module(text) + ":still").gripper.tolist() == [1.0]


def test_a_class_is_made_anew_for_each_episode(module):
    name = module("class Act:\n made = 0\n def __init__(self): Act.made += 1\n def __call__(self, values, robot): pass")
    make = load(f"{name}:Act")
    first, second = make(PANDA, "lift"), make(PANDA, "lift")
    assert first.policy is not second.policy
    assert sys.modules[name].Act.made == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "def act(values, robot): raise KeyError('cube')",
            r":act raised KeyError: 'cube', at .*policy_of_a_test_0.py:1",
        ),
        ("def act(values): pass", "raised TypeError: act.. takes 1 positional argument but 2 were given"),
        (
            "def act(values, robot): return 1.0",
            ":act: it returned 1.0, and not a Twist, a Pose or Joints of sim.motion.control, or None",
        ),
        ("class act:\n def __init__(self): 1 / 0", "raised ZeroDivisionError: division by zero"),
        ("class act: pass", "its objects cannot be called; give the class a __call__"),
    ],
)
def test_a_policy_that_breaks_is_named_with_its_line(module, text, said):
    with pytest.raises(PolicyError, match=said):
        asked(module(text) + ":act")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "'' does not name a policy: write module:function, such as my_policy:act."),
        ("module", "write module:function"),
        (":act", "write module:function"),
        ("module:", "write module:function"),
        ("not_there:act", "No module named 'not_there'; it was looked for in "),
        ("json:act", "json has no function called act"),
        ("json:__name__", "json has no function called __name__"),
    ],
)
def test_a_policy_that_is_not_there_is_said(name, said):
    with pytest.raises(UnknownPolicyError, match=said):
        load(name)


def test_a_module_that_cannot_be_imported_says_where(module):
    with pytest.raises(UnknownPolicyError, match=r"raised SyntaxError"):
        load(module("def act(:") + ":act")
    with pytest.raises(UnknownPolicyError, match=r"raised ZeroDivisionError: division by zero, at .*_1.py:2"):
        load(module("\n1 / 0") + ":act")
