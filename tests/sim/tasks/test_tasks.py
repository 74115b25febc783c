"""Every task: placed from its seed and within bounds, honest about success, and done by its scripted operator."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from sim.catalogue import ROBOTS, TASKS, description, make_world, pairs, task
from sim.check import drive
from sim.motion.control import Controller
from sim.physics.bodies import physical
from sim.physics.world import ROOM_M, World
from sim.rotation import from_rotvec, multiply, rotate
from sim.scene import Body, Box, Cylinder, Part, Shape
from sim.task import Task, Values, progress
from sim.tasks import drawer, fetch, handover, peg, pick_place, pour, push, sort, stack
from sim.tasks.parts.expert import Operator, Script
from sim.tasks.parts.placing import CUBE_HALF_EDGE_M
from sim.tasks.parts.setting import setting

SEEDS = range(60)
HIGH = np.array((0.0, 0.0, 0.1))


@pytest.fixture(scope="module", params=TASKS)
def world(request) -> Iterator[World]:
    """The world of a task with the robot that it was made for."""
    made = make_world(task(request.param).robots[0], request.param)
    made.connect()
    yield made
    made.disconnect()


def solid(robot: str, name: str, seed: int) -> list[Body]:
    """The things of an episode that physics knows, as they are placed."""
    bodies = setting(description(robot), task(name), seed).bodies
    return [body for body in bodies if body.slide is None and any(part.solid for part in body.parts)]


def radius_m(body: Body) -> float:
    """The radius of an upright cylinder around a body that stands on its underside."""
    return max(math.hypot(*corner[:2]) for part in body.parts for corner in outline(part))


def outline(part: Part) -> Iterable[Sequence[float]]:
    """Points of a part, in its body's frame, of which one is the farthest from its axis."""
    if isinstance(part.shape, Box):
        return corners(part)
    return [(math.hypot(*part.position_m[:2]) + part.shape.radius_m, 0.0)]


def corners(part: Part) -> Iterator[np.ndarray]:
    """The corners of the smallest cuboid around a part, in its body's frame."""
    half = half_extents_m(part.shape)
    for signs in product((-1.0, 1.0), repeat=3):
        yield np.array(part.position_m) + rotate(np.array(part.orientation), np.array(half) * signs)


def half_extents_m(shape: Shape) -> tuple[float, float, float]:
    """Half the edges of the smallest cuboid around a shape."""
    if isinstance(shape, Box):
        return shape.half_extents_m
    return (shape.radius_m, shape.radius_m, 0.5 * shape.length_m if isinstance(shape, Cylinder) else shape.radius_m)


def bottom_m(body: Body) -> float:
    """The height of a body's lowest point, where it is turned about the vertical only."""
    return body.position_m[2] + min(float(corner[2]) for part in body.parts for corner in corners(part))


def poses(bodies: Sequence[Body]) -> dict[str, np.ndarray]:
    """The arrays in which bodies are observed, as they are placed; not of what slides in another."""
    found: dict[str, np.ndarray] = {}
    for body in (body for body in bodies if body.pose_from is not None and body.slide is None):
        pose = np.array([*body.position_m, *body.orientation])
        rows = found.get(body.pose_from, np.empty((0, 7)))
        found[body.pose_from] = pose if body.row is None else np.vstack([rows, pose])
    return found


def test_there_is_a_task_for_every_robot():
    assert {robot for robot, _ in pairs()} == set(ROBOTS)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_what_to_do_in_several_words(name):
    spec = task(name).spec
    said = (spec.instruction, *spec.paraphrases)
    assert spec.name == name
    assert len({one.lower() for one in said}) >= 3
    assert all(one[0].isupper() and one.endswith(".") for one in said)
    assert spec.stages
    assert spec.success_hold_steps == 10


@pytest.mark.parametrize(("robot", "name"), pairs())
def test_what_there_is_never_depends_on_the_seed_and_where_it_is_always_does(robot, name):
    seen = [solid(robot, name, seed) or list(setting(description(robot), task(name), seed).bodies) for seed in SEEDS]
    assert len({tuple((body.name, body.parts, body.mass_kg) for body in bodies) for bodies in seen}) == 1
    assert len({tuple((body.position_m, body.orientation) for body in bodies) for bodies in seen}) == len(SEEDS)


@pytest.mark.parametrize(("robot", "name"), pairs())
def test_things_lie_on_the_floor_where_a_hand_reaches_and_never_in_one_another(robot, name):
    hands = description(robot).hands
    for seed in SEEDS:
        bodies = setting(description(robot), task(name), seed).bodies
        for body in (body for body in bodies if body.slide is None):
            assert name == "fetch" or any(reaches(hand, body) for hand in hands), (seed, body)
            assert bottom_m(body) > -1e-9, (seed, body)
        standing = [body for body in solid(robot, name, seed) if body.row is None]
        for index, one in enumerate(standing):
            for other in standing[index + 1 :]:
                away = math.dist(one.position_m[:2], other.position_m[:2])
                assert away > radius_m(one) + radius_m(other), (seed, one.name, other.name)


def reaches(hand, body: Body) -> bool:
    """Whether a thing's middle is over the floor of a hand's workspace."""
    low, high = hand.workspace_lower_m, hand.workspace_upper_m
    return all(low[axis] <= body.position_m[axis] <= high[axis] for axis in range(2))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_fetched_is_out_of_reach_and_within_the_room_and_the_mark_is_within_reach(seed):
    husky = description("husky")
    found = {body.name: body for body in setting(husky, task("fetch"), seed).bodies}
    assert reaches(husky.hands[0], found["goal"])
    away = math.hypot(*found["cube"].position_m[:2])
    assert fetch.NEAREST_M <= away <= fetch.FARTHEST_M < ROOM_M
    assert away > math.hypot(*husky.hands[0].workspace_upper_m[:2])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bar_starts_where_one_hand_alone_reaches_and_ends_where_the_other_does(seed):
    left, right = description("dual_panda").hands
    found = {body.name: body for body in setting(description("dual_panda"), task("handover"), seed).bodies}
    bar, goal = found["bar"], found["goal"]
    giver, taker = (left, right) if bar.position_m[1] > 0.0 else (right, left)
    along = handover.HALF_LENGTH_M * rotate(np.array(bar.orientation), np.array((1.0, 0.0, 0.0)))
    for end in (np.array(bar.position_m) - along, np.array(bar.position_m) + along):
        assert giver.workspace_lower_m[1] < end[1] < giver.workspace_upper_m[1]
        assert not taker.workspace_lower_m[1] < end[1] < taker.workspace_upper_m[1]
    assert reaches(taker, goal)
    assert not reaches(giver, goal)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_ball_starts_in_the_cup(seed):
    bodies = solid("panda", "pour", seed)
    cup = next(body for body in bodies if body.name == "cup")
    balls = [body for body in bodies if body.row is not None]
    assert sorted(ball.row for ball in balls) == list(range(pour.BALLS))
    for index, ball in enumerate(balls):
        assert math.dist(ball.position_m[:2], cup.position_m[:2]) < pour.CUP_INSIDE_M - pour.BALL_RADIUS_M
        others = (math.dist(ball.position_m, other.position_m) for other in balls[index + 1 :])
        assert all(away > 2.0 * pour.BALL_RADIUS_M for away in others)


def test_a_reset_is_a_function_of_its_seed_alone(world):
    expected = world.reset(5).values
    for step, _ in enumerate(drive(world, 6)):
        if step == 30:
            break
    again, other = world.reset(5).values, world.reset(6).values
    assert all(again[name].tobytes() == value.tobytes() for name, value in expected.items())
    assert any(other[name].tobytes() != value.tobytes() for name, value in expected.items())


def test_an_episode_starts_at_rest_near_no_progress_and_not_done(world):
    for seed in range(8):
        seen = world.reset(seed)
        assert seen.success is False
        assert not world.task.holds(seen.values)
        assert seen.progress is not None
        assert 0.0 <= seen.progress < 0.6 / len(world.task.spec.stages) + 0.05, (seed, seen.progress)
        for name, pose in poses(world.scene.bodies).items():
            fallen_m = 0.015 if name == "balls_pose" else 0.002
            assert seen.values[name][..., :3] == pytest.approx(pose[..., :3], abs=fallen_m), f"{name} was pushed away"
        for name, value in seen.values.items():
            if name.endswith("_velocity") and name != "joint_velocity":
                assert np.abs(value[:3]).max() < 0.02, f"{name} is not at rest"


@pytest.mark.parametrize("name", TASKS)
def test_no_seed_starts_with_the_task_done(name):
    robot = description(task(name).robots[0])
    home = make_world(robot.model.name, name)
    home.connect()
    seen = dict(home.observe().values)
    home.disconnect()
    for seed in range(300):
        for body in setting(robot, task(name), seed).bodies:
            if body.pose_from is not None and body.row is None and body.slide is None:
                seen[body.pose_from] = np.array([*body.position_m, *body.orientation])
        assert not task(name).holds({**seen, **poses(setting(robot, task(name), seed).bodies)}), f"seed {seed}"


@pytest.mark.parametrize(("robot", "name"), pairs())
def test_an_operators_twists_do_the_task_and_success_needs_ten_steps_in_a_row(robot, name):
    world = make_world(robot, name)
    world.connect()
    held, seen = 0, world.observe()
    for _, seen in drive(world, 101):
        held = held + 1 if world.task.holds(seen.values) else 0
        assert seen.success is (held >= 10), f"held {held} steps, success {seen.success}"
        assert seen.progress is not None
        assert 0.0 <= seen.progress <= 1.0
    world.disconnect()
    assert seen.success, f"ended at {seen.progress}"
    assert seen.progress == 1.0


def test_progress_counts_the_stages_before_one_that_is_done():
    assert progress([0.2, 0.0]) == pytest.approx(0.1)
    assert progress([0.2, 1.0, 0.5]) == pytest.approx(2.5 / 3.0)
    assert progress([1.0, -0.3]) == pytest.approx(0.5)
    assert progress([0.0, 7.0]) == 1.0


def start(found: Task, seed: int = 0) -> dict[str, np.ndarray]:
    """The first observation of an episode with the robot that the task was made for."""
    made = make_world(found.robots[0], found.spec.name)
    made.connect()
    values = dict(made.reset(seed).values)
    made.disconnect()
    return values


def moved(values: Values, name: str, *, to: np.ndarray) -> dict[str, np.ndarray]:
    """The values with a thing elsewhere, as it is turned."""
    return {**values, name: np.concatenate([to, values[name][3:]])}


def test_a_hand_that_still_holds_the_cube_in_the_bin_has_not_placed_it():
    values = start(pick_place.TASK)
    inside = values["bin_pose"][:3] + np.array((0.0, 0.0, CUBE_HALF_EDGE_M))
    there = moved(values, "cube_pose", to=inside)
    assert pick_place.TASK.holds(there)
    assert not pick_place.TASK.holds(moved(there, "ee_pose", to=inside))
    assert not pick_place.TASK.holds(moved(there, "cube_pose", to=inside + HIGH))


def test_a_cube_that_is_held_over_the_other_or_stands_beside_it_is_not_stacked():
    values = start(stack.TASK)
    upon = values["green_pose"][:3] + np.array((0.0, 0.0, 2.0 * CUBE_HALF_EDGE_M))
    there = moved(values, "red_pose", to=upon)
    assert stack.TASK.holds(there)
    assert not stack.TASK.holds(moved(there, "ee_pose", to=upon))
    assert not stack.TASK.holds({**there, "red_velocity": np.array((0.0, 0.0, -0.2, 0.0, 0.0, 0.0))})
    beside = values["green_pose"][:3] + np.array((2.0 * CUBE_HALF_EDGE_M, 0.0, 0.0))
    assert not stack.TASK.holds(moved(values, "red_pose", to=beside))


def test_cubes_on_one_anothers_plates_are_not_sorted():
    values = start(sort.TASK)
    own = dict(values)
    for name in sort.COLOURS:
        own = moved(own, f"{name}_pose", to=on_plate(values, name))
    assert sort.TASK.holds(own)
    swapped = moved(own, "red_pose", to=on_plate(values, "blue"))
    swapped = moved(swapped, "blue_pose", to=on_plate(values, "red"))
    assert not sort.TASK.holds(swapped)
    assert progress(sort.TASK.stages(swapped)) < 2.0 / 3.0


def on_plate(values: Values, name: str) -> np.ndarray:
    """Where a cube lies on a plate."""
    return values[f"{name}_plate_pose"][:3] + np.array((0.0, 0.0, CUBE_HALF_EDGE_M))


def test_a_puck_that_is_carried_over_the_mark_is_not_pushed_onto_it():
    values = start(push.TASK)
    there = moved(values, "puck_pose", to=values["goal_pose"][:3] + np.array((0.0, 0.0, 0.5 * push.HEIGHT_M)))
    assert push.TASK.holds(there)
    assert not push.TASK.holds(moved(there, "puck_pose", to=there["puck_pose"][:3] + HIGH))


def test_a_drawer_that_is_open_by_five_centimetres_is_not_open():
    values = start(drawer.TASK)
    out = rotate(values["cabinet_pose"][3:], np.array((-1.0, 0.0, 0.0)))
    for opened_m, is_open in ((0.0, False), (0.05, False), (0.08, True)):
        there = moved(values, "drawer_pose", to=values["drawer_pose"][:3] + opened_m * out)
        assert drawer.TASK.holds(there) is is_open


def test_a_peg_that_stands_on_the_block_or_half_way_in_is_not_inserted():
    values = start(peg.TASK)
    hole = values["block_pose"][:3]
    for bottom_m_, is_in in ((peg.BLOCK_HEIGHT_M, False), (0.025, False), (0.002, True)):
        there = moved(values, "peg_pose", to=hole + np.array((0.0, 0.0, 0.5 * peg.LENGTH_M + bottom_m_)))
        assert peg.TASK.holds(there) is is_in
    beside = hole + np.array((2.0 * peg.BLOCK_HALF_M, 0.0, 0.5 * peg.LENGTH_M))
    assert not peg.TASK.holds(moved(values, "peg_pose", to=beside))


def test_ten_balls_of_twelve_are_poured_and_nine_are_not():
    values = start(pour.TASK)
    balls = values["balls_pose"].copy()
    for count in range(1, pour.BALLS + 1):
        balls[count - 1, :3] = values["bowl_pose"][:3] + np.array((0.004 * count, 0.0, pour.BALL_RADIUS_M))
        assert pour.TASK.holds({**values, "balls_pose": balls}) is (count >= 10)


def test_a_full_cup_that_is_set_into_the_bowl_is_not_poured():
    values = start(pour.TASK)
    shift = values["bowl_pose"][:3] - values["cup_pose"][:3] + np.array((0.0, 0.0, pour.THICK_M))
    balls = values["balls_pose"].copy()
    balls[:, :3] += shift
    there = moved({**values, "balls_pose": balls}, "cup_pose", to=values["cup_pose"][:3] + shift)
    assert pour.poured(there) == 0.0


def test_a_bar_that_a_hand_still_holds_is_not_laid_down():
    values = start(handover.TASK)
    lying = values["goal_pose"][:3] + np.array((0.0, 0.0, handover.HALF_EDGE_M))
    there = moved(values, "bar_pose", to=lying)
    assert handover.TASK.holds(there)
    for hand in ("left", "right"):
        assert not handover.TASK.holds(moved(there, f"{hand}_ee_pose", to=lying))
    assert not handover.TASK.holds(moved(there, "bar_pose", to=lying + HIGH))


def test_a_cube_that_is_held_over_the_mark_is_not_brought():
    values = start(fetch.TASK)
    lying = values["goal_pose"][:3] + np.array((0.0, 0.0, CUBE_HALF_EDGE_M))
    there = moved(values, "cube_pose", to=lying)
    assert fetch.TASK.holds(there)
    assert not fetch.TASK.holds(moved(there, "ee_pose", to=lying))
    assert not fetch.TASK.holds(moved(there, "cube_pose", to=lying + HIGH))


def test_spilt_balls_come_to_rest_on_the_floor_and_in_the_room():
    world = make_world("panda", "pour")
    world.connect()
    seen = world.reset(0)
    controller, careless = Controller(world.spec), Operator(world.description, spill)
    controller.start(seen)
    before = seen.values["balls_pose"]
    for _ in range(280):
        before = seen.values["balls_pose"]
        world.send_action(controller.step(careless.act(seen.values), seen).action)
        seen = world.observe()
    world.disconnect()
    balls = seen.values["balls_pose"][:, :3]
    assert np.median(balls[:, 2]) == pytest.approx(pour.BALL_RADIUS_M, abs=2e-3), "most balls lie on the floor"
    assert np.abs(balls).max() < 0.25 * ROOM_M
    assert np.abs(balls - before[:, :3]).max() < 1e-3, "balls still roll"
    assert not seen.success


def spill(operator: Operator) -> Script:
    """Tip the cup where it stood."""
    hand = operator.hands[0]
    yield from hand.grasp("cup_pose", offset=np.array(pour.FIN_M), period_rad=np.pi, deep_m=0.008)
    yield from hand.rise(0.25)
    tip = 2.0 * float(np.sign(operator.at("cup_pose")[1] - operator.at("bowl_pose")[1]))
    place, turned = hand.pose[:3].copy(), multiply(from_rotvec(np.array((tip, 0.0, 0.0))), hand.pose[3:])
    yield from hand.to(lambda: (place, turned))


GOALS = {
    "fetch": ["goal"],
    "handover": ["goal"],
    "peg": ["block"],
    "pick_place": ["bin"],
    "pour": ["bowl"],
    "push": ["goal"],
    "reach": ["target"],
    "sort": ["red_plate", "green_plate", "blue_plate"],
    "stack": ["green"],
}


@pytest.mark.parametrize("name", TASKS)
def test_where_a_task_leads_is_marked_for_its_operator_and_nothing_to_physics(name):
    placed = setting(description(task(name).robots[0]), task(name), 1).bodies
    assert [body.name for body in placed if body.goal] == GOALS.get(name, [])
    for body in placed:
        assert physical(replace(body, goal=True)) == physical(replace(body, goal=False))
