"""The golden corpus: an episode of each task, recorded once, whose every state later versions must give again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from numpy._core import _multiarray_umath

from sim.catalogue import TASKS, description, task
from sim.physics import arm, bodies, engine, reference
from sim.physics.engine import EngineMismatchError, record, require_same, stepping_of
from sim.physics.fingerprint import digest
from sim.physics.replay import ReplayMismatchError
from sim.physics.stepping import CURRENT, FIRST, PUBLISHED, Stepping
from sim.scene import Body, Box, Part, Slide
from sim.tasks.parts.exact import apart, length, nearness
from tests.sim.make_corpus import CORPUS, CURRENT_HZ, check, load

ANEW = "where that was meant, record anew: python -m tests.sim.make_corpus"
ELSEWHERE = """
import json
from sim.catalogue import description, task
from sim.physics.engine import record
from sim.physics.replay import ReplayMismatchError
from tests.sim import make_corpus
make_corpus.require_same = lambda recorded, here, **_: None
differs = {}
for name, rate in NAMES:
    golden = make_corpus.load(name, rate)
    try:
        make_corpus.check(golden)
    except ReplayMismatchError as error:
        differs[name] = str(error)
print(json.dumps({"differs": differs, "engine": record(description(golden.robot), task(golden.task))}))
"""


def elsewhere(names, **environment: str):
    """Replay in a process that takes itself for one on another processor; return what differs there, and its engine."""
    program = ELSEWHERE.replace("NAMES", repr(names))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return found["differs"], found["engine"]


def test_the_corpus_has_one_episode_of_each_task_at_each_published_rate_and_is_small():
    assert sorted(folder.name for folder in CORPUS.iterdir()) == sorted(PUBLISHED)
    for folder in CORPUS.iterdir():
        assert sorted(file.name for file in folder.iterdir()) == sorted(f"{name}.npz" for name in TASKS), ANEW
    assert sum(file.stat().st_size for file in CORPUS.rglob("*.npz")) < 3_000_000


@pytest.mark.parametrize("rate", PUBLISHED)
@pytest.mark.parametrize("name", TASKS)
def test_an_episode_of_the_corpus_replays_bit_for_bit(name, rate):
    golden = load(name, rate)
    assert golden.engine["physics_hz"] == rate
    assert golden.version == task(name).spec.version, f"{name} has a new version; {ANEW}"
    assert golden.recorded["success"][-1] == 1.0, "it ends in success"
    try:
        check(golden)
    except (EngineMismatchError, ReplayMismatchError) as error:
        pytest.fail(f"{name} with {golden.robot}: {error} ({ANEW})")


def test_a_changed_bit_of_the_corpus_is_named_by_step_and_value():
    golden = load("drawer")
    changed = golden.recorded["drawer_pose"].copy()
    changed[40, 0] = np.nextafter(changed[40, 0], 9.0)
    with pytest.raises(ReplayMismatchError, match=r"step 40, drawer_pose\[0\]: the recording has"):
        check(replace(golden, recorded={**golden.recorded, "drawer_pose": changed}))


def test_a_processor_with_narrower_vectors_gives_the_same_bits():
    """NumPy and its BLAS choose their code by the processor; nothing that is compared may depend on it."""
    everything = [(name, CURRENT_HZ) for name in TASKS]
    narrow = " ".join(_multiarray_umath.__cpu_dispatch__)
    differs, there = elsewhere(everything, NPY_DISABLE_CPU_FEATURES=narrow, OPENBLAS_CORETYPE="Nehalem")
    assert differs == {}
    assert there["control"] == reference.control(description(task(TASKS[-1]).robots[0])), "nor does the controller"


def test_a_processor_whose_bits_differ_is_named_before_it_is_blamed():
    """Without fused multiply-add the C library's `sin` differs one time in a thousand, and with it the physics."""
    lift_and_stack = [("lift", CURRENT_HZ), ("stack", CURRENT_HZ)]
    differs, there = elsewhere(lift_and_stack, GLIBC_TUNABLES="glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2")
    here = load("stack").engine
    if differs:
        with pytest.raises(EngineMismatchError, match=r"libm \w+ \(here \w+\).*on a processor"):
            require_same(here, there)


CONSTANTS = [
    (module, name)
    for module in (arm, bodies, engine)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, int | float)
]


@pytest.mark.parametrize(("module", "name"), CONSTANTS, ids=lambda value: getattr(value, "__name__", value))
def test_every_number_that_the_physics_use_is_in_the_record(monkeypatch, module, name):
    robot, lift = description("panda"), task("lift")
    before = record(robot, lift)
    monkeypatch.setattr(module, name, getattr(module, name) * 2)
    assert record(robot, lift) != before


@pytest.mark.parametrize("name", [field.name for field in fields(Stepping)])
def test_every_part_of_how_the_physics_step_is_in_the_record(name):
    robot, lift = description("panda"), task("lift")
    value = getattr(CURRENT, name)
    other = replace(CURRENT, **{name: not value if isinstance(value, bool) else value * 2})
    assert record(robot, lift, other) != record(robot, lift, CURRENT)


def test_a_record_names_the_way_to_step_that_made_it():
    robot, lift = description("panda"), task("lift")
    for stepping in (FIRST, CURRENT):
        assert stepping_of(record(robot, lift, stepping)) == stepping
    older, newer = set(load("lift", "240").engine), set(record(robot, lift, FIRST))
    assert newer - older == {"control"}, "which no replay of applied actions needs"
    assert older < newer


@pytest.mark.parametrize("said", ["60", "1", "0", "-120", "120.0", "0120", " 240", "", "1e2", "nan", None])
def test_a_rate_that_was_never_published_is_refused_by_name(said):
    recorded = record(description("panda"), task("lift")) | {"physics_hz": said}
    if said is None:
        del recorded["physics_hz"]
    with pytest.raises(EngineMismatchError, match=rf"at physics_hz {said!r}, and this version replays 240 or 120"):
        stepping_of(recorded)


@pytest.mark.parametrize("rate", PUBLISHED)
def test_the_parts_of_one_way_to_step_do_not_mix_with_those_of_another(rate):
    """Whoever names one rate and the gains of another gets neither."""
    robot, lift = description("panda"), task("lift")
    other = next(key for key in PUBLISHED if key != rate)
    mixed = record(robot, lift, PUBLISHED[rate]) | {"physics_hz": other}
    with pytest.raises(EngineMismatchError, match=r"motors .* \(here"):
        require_same(mixed, record(robot, lift, stepping_of(mixed)))


def test_what_physics_takes_from_a_robot_is_in_the_record():
    robot, lift = description("panda"), task("lift")
    hand = robot.hands[0]
    before = record(robot, lift)["robot"]
    for changed in (
        replace(robot, joint_effort_max_nm=(1.0,) * 7),
        replace(robot, home_rad=(0.1, *robot.home_rad[1:])),
        replace(robot, joint_upper_rad=(0.1, *robot.joint_upper_rad[1:])),
        replace(robot, hands=(replace(hand, gripper_effort_max_n=1.0),)),
        replace(robot, hands=(replace(hand, finger_links=hand.finger_links[:1]),)),
    ):
        assert record(changed, lift)["robot"] != before
    for changed in (
        replace(robot, home_rad=(0.1, *robot.home_rad[1:])),
        replace(robot, acceleration_time_s=0.2),
        replace(robot, joint_velocity_max_rad_s=(1.0,) * 7),
        replace(robot, hands=(replace(hand, workspace_upper_m=(0.5, 0.5, 0.5)),)),
    ):
        assert record(changed, lift)["control"] != record(robot, lift)["control"]
    looks = replace(robot, hands=(replace(hand, camera=None),))
    assert record(looks, lift)["robot"] == before, "a camera changes no bit"
    assert record(looks, lift)["control"] == record(robot, lift)["control"]


class Heavier:
    """The lift task with a change that its author gave no new version."""

    def __init__(self, **changes: object) -> None:
        self.changes = changes

    def bodies(self, robot, rng):
        return tuple(replace(body, **self.changes) for body in task("lift").bodies(robot, rng))


@pytest.mark.parametrize("change", [{"mass_kg": 0.2}, {"friction": 0.5}, {"parts": (Part(Box((0.02, 0.02, 0.03))),)}])
def test_a_task_that_changed_without_a_new_version_is_found_by_its_scene(change):
    recorded, here = record(description("panda"), task("lift")), record(description("panda"), Heavier(**change))
    with pytest.raises(EngineMismatchError, match=r"scene \w+ \(here \w+\).*places or shapes its things differently"):
        require_same(recorded, here)


def test_another_colour_changes_no_record():
    plain, blue = record(description("panda"), task("lift")), record(description("panda"), Heavier(rgba=(0, 0, 1, 1)))
    require_same(plain, blue)


def test_a_digest_names_values_and_not_the_fields_that_are_left_at_their_defaults():
    body = Body("a", (Part(Box((0.1, 0.1, 0.1))),), (1.0, 0.0, 0.0, 1.0))
    assert digest(body) == digest(replace(body, mass_kg=0.0))
    assert digest(body) != digest(replace(body, mass_kg=1e-300))
    assert digest(body) != digest(replace(body, slide=Slide("b", (1.0, 0.0, 0.0), 0.0, 0.1)))
    assert digest([0.1 + 0.2]) != digest([0.3])


def test_exact_mathematics_is_what_it_says():
    assert length(np.array((3.0, 4.0))) == 5.0
    assert apart(np.array((1.0, 1.0, 1.0)), (1.0, 1.0, 3.0)) == 2.0
    assert nearness(-1.0, 4.0) == 1.0
    assert nearness(100.0, 4.0) == 0.0
    with pytest.raises(ValueError, match="zip"):
        apart((1.0, 2.0), (1.0, 2.0, 3.0))
