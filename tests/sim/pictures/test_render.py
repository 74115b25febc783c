"""Pictures show what the states say, whoever draws them and in whatever order."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

import sim.pictures.gl
from sim.catalogue import ROBOTS, UnknownRobotError, UnknownTaskError, description, make_world
from sim.check import drive
from sim.pictures.gl import GlRenderer, NoOpenGlError
from sim.pictures.picture import Picture
from sim.pictures.render import (
    PictureSizeError,
    Shot,
    StatesMissingError,
    open_renderer,
    render,
    render_scene_of,
    workers,
)
from sim.pictures.render_scene import RenderScene, UnknownCameraError
from sim.pictures.tiny import TinyRenderer

SEED = 5
WIDTH, HEIGHT = 320, 240


def driven(robot: str, task: str, steps: int) -> dict[str, np.ndarray]:
    world = make_world(robot, task)
    world.connect()
    states = [world.reset(SEED), *(seen for _, seen in islice(drive(world, SEED), steps))]
    world.disconnect()
    return {name: np.array([state.values[name] for state in states]) for name in states[0].values}


@pytest.fixture(scope="module")
def seen():
    return driven("panda", "pick_place", 60)


@pytest.fixture(scope="module")
def render_scene():
    return render_scene_of("panda", "pick_place", SEED, HEIGHT)


def draw(renderer, render_scene: RenderScene, seen, step: int, camera: str = "front", **planes: bool) -> Picture:
    row = {name: array[step : step + 1] for name, array in seen.items()}
    lens = render_scene.camera(camera)
    return renderer.draw(lens, render_scene.camera_frames(lens, row)[0], render_scene.frames(row)[0], **planes)


def number_of(render_scene: RenderScene, name: str) -> int:
    return 1 + [piece.name for piece in render_scene.pieces].index(name)


def projected(picture: Picture, place: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the pixel (x, y) and the depth of a place in the room, by the picture's own geometry."""
    x, y, z = (np.linalg.inv(picture.extrinsics) @ [*place, 1.0])[:3]
    pixel = picture.intrinsics @ (x / z, y / z, 1.0)
    return pixel[:2], float(z)


@pytest.mark.parametrize("made", [GlRenderer, TinyRenderer])
@pytest.mark.parametrize("camera", ["front", "side"])
def test_a_thing_is_seen_where_the_pictures_own_geometry_says(made, camera, render_scene, seen):
    renderer = made(render_scene, WIDTH, HEIGHT)
    picture = draw(renderer, render_scene, seen, 0, camera, depth=True, mask=True)
    renderer.close()
    rows, columns = np.nonzero(picture.mask == number_of(render_scene, "cube"))
    pixel, away = projected(picture, seen["cube_pose"][0, :3])
    assert len(rows) > 20
    assert abs(columns.mean() + 0.5 - pixel[0]) < 2.5
    assert abs(rows.mean() + 0.5 - pixel[1]) < 2.5
    depths = picture.depth[rows, columns]
    assert away - 0.04 < np.median(depths) < away, "its near side, not its middle"
    red, green, _ = picture.rgb[rows, columns].mean(axis=0)
    assert red > 2 * green


def test_the_wrist_camera_moves_with_the_hand_and_sees_what_it_holds(render_scene, seen):
    renderer = GlRenderer(render_scene, WIDTH, HEIGHT)
    first, last = (draw(renderer, render_scene, seen, step, "wrist", mask=True) for step in (0, 60))
    renderer.close()
    assert np.abs(first.extrinsics - last.extrinsics).max() > 0.05
    assert (last.mask == number_of(render_scene, "cube")).sum() > (first.mask == number_of(render_scene, "cube")).sum()
    assert (last.mask == number_of(render_scene, "panda_leftfinger")).any()


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_a_picture_does_not_depend_on_what_was_drawn_before_it(camera, render_scene, seen):
    used, fresh = GlRenderer(render_scene, WIDTH, HEIGHT), GlRenderer(render_scene, WIDTH, HEIGHT)
    for other, step in (("side", 0), ("front", 3), ("wrist", 50), ("front", 59)):
        draw(used, render_scene, seen, step, other, mask=True)
    found, expected = (draw(one, render_scene, seen, 30, camera, depth=True, mask=True) for one in (used, fresh))
    assert (found.rgb == expected.rgb).all()
    assert (found.depth == expected.depth).all()
    assert (found.mask == expected.mask).all()
    used.close()
    fresh.close()


def test_both_renderers_see_the_same_things_at_the_same_depth(render_scene, seen):
    pictures = []
    for made in (GlRenderer, TinyRenderer):
        renderer = made(render_scene, WIDTH, HEIGHT)
        pictures.append(draw(renderer, render_scene, seen, 45, depth=True, mask=True))
        renderer.close()
    ours, theirs = pictures
    same = ours.mask == theirs.mask
    assert same.mean() > 0.985
    things = same & (ours.mask > number_of(render_scene, "floor"))
    assert np.quantile(np.abs(ours.depth - theirs.depth)[things], 0.95) < 0.01


@pytest.mark.parametrize("camera", ["front", "side", "wrist"])
def test_depth_puts_the_floor_on_the_floor(camera, render_scene, seen):
    renderer = GlRenderer(render_scene, WIDTH, HEIGHT)
    picture = draw(renderer, render_scene, seen, 20, camera, depth=True, mask=True)
    renderer.close()
    rows, columns = np.nonzero(picture.mask == number_of(render_scene, "floor"))
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    places = np.linalg.inv(picture.intrinsics) @ pixels * picture.depth[rows, columns]
    heights = (picture.extrinsics @ np.vstack([places, np.ones(len(rows))]))[2]
    near = picture.depth[rows, columns] < 2.0
    assert near.sum() > 1000
    assert np.abs(heights[near]).max() < 0.001


@pytest.mark.parametrize(("of", "onto"), [("cube", "floor"), ("cube", "bin")])
def test_what_moves_throws_its_shadow_on_the_floor_and_on_what_stands(of, onto, render_scene, seen):
    """Hang the cube above the middle of the bin or the floor, and look where the light's way through it ends."""
    row = {name: array[:1].copy() for name, array in seen.items()}
    to_light = -np.array(render_scene.scene.light.towards)
    ground = row["bin_pose"][0, :3] + (0.0, 0.0, 0.006) if onto == "bin" else np.array((0.45, 0.30, 0.0))
    away = {name: array.copy() for name, array in row.items()}
    row[f"{of}_pose"][0, :3] = ground + 0.12 * to_light / to_light[2]
    away[f"{of}_pose"][0, :3] = (0.2, -0.9, 0.022)
    renderer = GlRenderer(render_scene, WIDTH, HEIGHT)
    dark, bright = (draw(renderer, render_scene, one, 0, mask=True) for one in (row, away))
    renderer.close()
    (x, y), _ = projected(bright, ground)
    pixel = int(y), int(x)
    assert dark.mask[pixel] == bright.mask[pixel] == number_of(render_scene, onto)
    assert dark.rgb[pixel].sum() < 0.8 * bright.rgb[pixel].sum()


@pytest.mark.parametrize(("width", "height"), [(640, 480), (224, 224)])
def test_simplified_meshes_cannot_be_told_from_whole_ones(width, height, seen):
    pictures = []
    for simplified in (height, None):
        render_scene = render_scene_of("panda", "pick_place", SEED, simplified)
        renderer = GlRenderer(render_scene, width, height)
        pictures.append(draw(renderer, render_scene, seen, 45).rgb.astype(np.float64))
        renderer.close()
    fewer, whole = pictures
    differs = np.abs(fewer - whole).max(axis=2)
    assert (differs > 24).mean() < 0.01, "but for single pixels along edges"
    assert 10.0 * np.log10(255.0**2 / ((fewer - whole) ** 2).mean()) > 29.0


def test_workers_give_every_picture_in_order_as_one_process_does(seen, render_scene):
    shot = Shot("panda", "pick_place", SEED, "front", WIDTH, HEIGHT, mask=True)
    with workers(2) as pool:
        found = list(render(shot, seen, pool))
    renderer = GlRenderer(render_scene, WIDTH, HEIGHT)
    assert len(found) == len(seen["joint_position"])
    for step, picture in enumerate(found):
        expected = draw(renderer, render_scene, seen, step, mask=True)
        assert (picture.rgb == expected.rgb).all()
        assert (picture.mask == expected.mask).all()
        assert picture.depth is None
        assert picture.renderer == renderer.name
    renderer.close()


def test_where_there_is_no_opengl_tiny_renderer_draws_and_the_picture_says_so(monkeypatch, seen, render_scene):
    def missing():
        raise NoOpenGlError("expected OpenGL 3.3 through EGL, got none")

    monkeypatch.setattr(sim.pictures.gl, "context", missing)
    renderer = open_renderer(render_scene, 64, 48)
    picture = draw(renderer, render_scene, seen, 0)
    renderer.close()
    assert picture.renderer == "PyBullet TinyRenderer"
    assert picture.rgb.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"robot": "r2d2"}, UnknownRobotError, "no robot 'r2d2'"),
        ({"task": "juggle"}, UnknownTaskError, "no task 'juggle'.*lift"),
        ({"camera": "rear"}, UnknownCameraError, "no camera 'rear'.*front, side and wrist"),
        ({"width": 0}, PictureSizeError, "1 to 4096 pixels a side, and 0x240"),
        ({"height": 5000}, PictureSizeError, "320x5000 is not within"),
    ],
)
def test_a_shot_that_cannot_be_taken_is_refused_by_name(changed, error, said, seen):
    shot = {"robot": "panda", "task": "pick_place", "seed": SEED, "camera": "front", "width": WIDTH, "height": HEIGHT}
    with pytest.raises(error, match=said):
        next(render(Shot(**(shot | changed)), seen, None))


def test_states_that_do_not_say_where_everything_is_are_refused(seen):
    without = {name: array for name, array in seen.items() if name != "bin_pose"}
    with pytest.raises(StatesMissingError, match="got none of bin_pose"):
        next(render(Shot("panda", "pick_place", SEED, "front"), without, None))


@pytest.mark.parametrize("robot", ROBOTS)
def test_every_link_is_drawn_where_the_physics_engine_has_it(robot):
    from sim.model.links import Links
    from sim.model.urdf import read_urdf
    from sim.physics.arm import Arm
    from sim.physics.bullet import new_client
    from sim.physics.stepping import CURRENT
    from sim.robot import Action

    data, client = description(robot), new_client()
    arm = Arm(client, data, CURRENT)
    rng = np.random.default_rng(3)
    joints = rng.uniform(data.joint_lower_rad, data.joint_upper_rad)
    openings = rng.uniform(size=len(data.hands))
    action = Action(joints, openings)
    arm.place(action)
    fingers = [name for hand in data.hands for name in hand.gripper_joints]
    links = Links(read_urdf(data.model.urdf_path), [*data.joint_names, *fingers])
    frames = links.frames(arm.targets(action)[None])[0]
    body = arm._body
    for index in range(client.getNumJoints(body)):
        name = client.getJointInfo(body, index)[12].decode()
        state = client.getLinkState(body, index, computeForwardKinematics=True)
        found = frames[links.names.index(name)]
        assert found[:3, 3] == pytest.approx(state[4], abs=1e-5), name
        assert found[:3, :3].ravel() == pytest.approx(client.getMatrixFromQuaternion(state[5]), abs=1e-4), name
    client.disconnect()
