"""The same seed and applied actions give the same bits: twice, after other worlds, and in another process."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest

from sim.catalogue import make_world
from sim.check import drive
from sim.physics.replay import ReplayMismatchError, compared, replay
from sim.robot import Action

SEED = 20261122

PROGRAM = """
import json, sys
sys.path.insert(0, {root!r})
from tests.sim.physics.test_replay import digest, recorded
print(json.dumps(digest(recorded()[2])))
"""


def recorded(seed: int = SEED, steps: int = 50):
    """Let the expert grasp and lift, so that there are contacts; return actions and observations."""
    world = make_world("panda", "lift")
    world.connect()
    seen, applied = [world.reset(seed)], []
    for action, after in islice(drive(world, seed), steps):
        applied.append(action)
        seen.append(after)
    world.disconnect()
    joints, grippers = [one.joint_position for one in applied], [one.gripper for one in applied]
    return np.array(joints), np.array(grippers), compared(seen)


def digest(arrays) -> str:
    return hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()


@pytest.fixture(scope="module")
def episode():
    return recorded()


@pytest.fixture
def world():
    world = make_world("panda", "lift")
    world.connect()
    yield world
    world.disconnect()


def test_the_recorded_drive_grasps_the_cube(episode):
    cube = episode[2]["cube_pose"]
    assert cube[-1, 2] - cube[0, 2] > 0.05, "without contact the other tests would prove less"


def test_a_replay_gives_every_bit_again(episode, world):
    replay(world, SEED, *episode)
    replay(world, SEED, *episode)


def test_a_world_used_before_replays_as_exactly_as_a_fresh_one(episode, world):
    world.reset(7)
    for _ in range(30):
        world.send_action(Action(world.spec.home_rad + 0.1, np.zeros(1)))
    replay(world, SEED, *episode)


def test_another_process_gives_the_same_bits(episode, pytestconfig):
    program = PROGRAM.format(root=str(pytestconfig.rootpath))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == digest(episode[2])


@pytest.mark.parametrize("step", [0, 1, 30, 50])
def test_one_changed_bit_is_found_at_its_step(episode, world, step):
    joints, grippers, observed = episode
    changed = {name: array.copy() for name, array in observed.items()}
    changed["cube_pose"][step, 1] = np.nextafter(changed["cube_pose"][step, 1], 9.0)
    with pytest.raises(ReplayMismatchError, match=rf"step {step}, cube_pose\[1\]") as caught:
        replay(world, SEED, joints, grippers, changed)
    assert (caught.value.step, caught.value.array) == (step, "cube_pose[1]")


def test_a_changed_action_is_found(episode, world):
    joints, grippers, observed = episode
    other = joints.copy()
    other[30, 2] += 1e-12
    with pytest.raises(ReplayMismatchError):
        replay(world, SEED, other, grippers, observed)


def test_another_seed_is_found(episode, world):
    with pytest.raises(ReplayMismatchError, match="step 0"):
        replay(world, SEED + 1, *episode)


def test_a_claimed_success_that_did_not_happen_is_found(episode, world):
    joints, grippers, observed = episode
    claimed = {**observed, "success": np.ones_like(observed["success"])}
    with pytest.raises(ReplayMismatchError, match=r"step 0, success\[0\]"):
        replay(world, SEED, joints, grippers, claimed)


def test_a_missing_array_is_found(episode, world):
    joints, grippers, observed = episode
    without = {name: array for name, array in observed.items() if name != "finger_state"}
    with pytest.raises(ReplayMismatchError, match="finger_state"):
        replay(world, SEED, joints, grippers, without)
