"""Pictures per second of the lift scene: this renderer beside TinyRenderer, PyBullet's EGL plugin and MuJoCo.

RGB with shadows, one fixed camera, the same recorded drive, and the same cores, in one run: they take turns, a few
frames each, round after round, and the medians are compared. PyBullet draws the robot as it loads it, MuJoCo the same
triangles; ours are simplified (docs/performance.md shows the pictures). Each renderer is a process of its own.
`fps_224x224_two_workers` and `fps_640x480_two_workers` are whole episodes through `sim.pictures.render.render`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sim.catalogue import description, make_world
from sim.check import drive
from sim.pictures.render import Shot, open_renderer, render, render_scene_of, workers
from sim.pictures.render_scene import RenderScene
from sim.scene import Box

ROBOT, TASK, SEED, CAMERA = "panda", "lift", 1, "front"
STEPS = 60
SHOWN_STEP = 40
Seen = dict[str, np.ndarray]
Draw = Callable[[int, int], np.ndarray]
"""Draws the steps from one number to another, and returns the last picture."""


def recorded() -> Seen:
    """Return the observation arrays (N, ...) of a scripted lift."""
    world = make_world(ROBOT, TASK)
    world.connect()
    states = [world.reset(SEED), *(seen for _, seen in islice(drive(world, SEED), STEPS - 1))]
    world.disconnect()
    return {name: np.array([state.values[name] for state in states]) for name in states[0].values}


def ours(seen: Seen, width: int, height: int) -> Draw:
    """Draw the way data sets are drawn."""
    return _drawn_by(render_scene_of(ROBOT, TASK, SEED, height), seen, width, height)


def ours_unsimplified(seen: Seen, width: int, height: int) -> Draw:
    """Draw every triangle of the mesh files."""
    return _drawn_by(render_scene_of(ROBOT, TASK, SEED), seen, width, height)


def _drawn_by(render_scene: RenderScene, seen: Seen, width: int, height: int) -> Draw:
    renderer, camera = open_renderer(render_scene, width, height), render_scene.camera(CAMERA)
    frames, at = render_scene.frames(seen), render_scene.camera_frames(camera, seen)

    def draw(first: int, last: int) -> np.ndarray:
        for picture in renderer.sequence(camera, at[first:last], frames[first:last]):
            shown = picture.rgb
        return shown

    return draw


def _each(draw: Callable[[int], np.ndarray]) -> Draw:
    """Return a function that draws a run of steps, one after the other."""

    def run(first: int, last: int) -> np.ndarray:
        for step in range(first, last):
            shown = draw(step)
        return shown

    return run


def tiny(seen: Seen, width: int, height: int) -> Draw:
    """Draw with PyBullet's software renderer."""
    return _pybullet(seen, width, height, plugin=False)


def egl_plugin(seen: Seen, width: int, height: int) -> Draw:
    """Draw with PyBullet's OpenGL renderer."""
    return _pybullet(seen, width, height, plugin=True)


def _pybullet(seen: Seen, width: int, height: int, *, plugin: bool) -> Draw:
    from sim.physics.bullet import new_client, pybullet, quiet

    render_scene, robot = render_scene_of(ROBOT, TASK, SEED), description(ROBOT)
    client = new_client()
    if plugin:
        found = importlib.util.find_spec("eglRenderer") or importlib.util.find_spec("eglRendererPlugin")
        library = found.origin if found is not None and found.origin else _beside_pybullet("eglRenderer*.so")
        with quiet():
            if client.loadPlugin(library, "_eglRendererPlugin") < 0:
                raise SystemExit("PyBullet's EGL plugin does not load here")
    arm = client.loadURDF(str(robot.model.urdf_path), useFixedBase=True)
    joints = {client.getJointInfo(arm, index)[1].decode(): index for index in range(client.getNumJoints(arm))}
    driven = [joints[name] for name in (*robot.joint_names, *robot.hands[0].gripper_joints)]
    client.createMultiBody(
        0, baseVisualShapeIndex=_box(client, (8, 8, 0.01), render_scene.scene.floor_rgba), basePosition=[0, 0, -0.01]
    )
    bodies = []
    for body in render_scene.scene.bodies:
        shape = body.parts[0].shape
        assert isinstance(shape, Box)
        assert body.pose_from is not None
        number = client.createMultiBody(0, baseVisualShapeIndex=_box(client, shape.half_extents_m, body.rgba))
        bodies.append((number, seen[body.pose_from]))
    camera = render_scene.camera(CAMERA)
    at = render_scene.camera_frames(camera, seen)[0]
    view = np.linalg.inv(at @ np.diag((1.0, -1.0, -1.0, 1.0))).T.ravel().tolist()
    lens = pybullet.computeProjectionMatrixFOV(float(np.degrees(camera.fov_y_rad)), width / height, 0.02, 6.0)
    positions = np.hstack([seen["joint_position"], seen["finger_state"][:, :2]])

    def draw(step: int) -> np.ndarray:
        for joint, position in zip(driven, positions[step], strict=True):
            client.resetJointState(arm, joint, position)
        for number, poses in bodies:
            client.resetBasePositionAndOrientation(number, poses[step, :3], poses[step, 3:])
        _, _, rgba, _, _ = client.getCameraImage(
            width,
            height,
            view,
            lens,
            lightDirection=[0.4, -0.3, 1.0],
            shadow=1,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            renderer=pybullet.ER_BULLET_HARDWARE_OPENGL if plugin else pybullet.ER_TINY_RENDERER,
        )
        return np.asarray(rgba, np.uint8).reshape(height, width, 4)[:, :, :3]

    return _each(draw)


def _beside_pybullet(pattern: str) -> str:
    from sim.physics.bullet import pybullet

    return str(next(Path(pybullet.__file__).parent.glob(pattern)))


def _box(client: Any, half: Any, rgba: Any) -> int:
    from sim.physics.bullet import pybullet

    return int(client.createVisualShape(pybullet.GEOM_BOX, halfExtents=list(half), rgbaColor=list(rgba)))


def mujoco(seen: Seen, width: int, height: int) -> Draw:
    """Draw the same triangles with MuJoCo, through EGL."""
    import mujoco as mj

    render_scene = render_scene_of(ROBOT, TASK, SEED)
    spec = mj.MjSpec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = width, height
    spec.visual.map.znear, spec.visual.map.zfar = 0.01, 6.0
    for number, piece in enumerate(render_scene.pieces):
        body = spec.worldbody.add_body(name=f"b{number}", mocap=True)
        rgba = [*np.sqrt(piece.mesh.colours.mean(axis=0)), 1.0]
        if number == 0:
            body.add_geom(type=mj.mjtGeom.mjGEOM_PLANE, size=[8, 8, 0.1], rgba=rgba)
            continue
        vertices, faces = piece.mesh.positions.ravel(), piece.mesh.triangles.ravel()
        spec.add_mesh(
            name=f"m{number}", uservert=vertices, userface=faces, inertia=mj.mjtMeshInertia.mjMESH_INERTIA_SHELL
        )
        body.add_geom(type=mj.mjtGeom.mjGEOM_MESH, meshname=f"m{number}", rgba=rgba, contype=0, conaffinity=0)
    spec.worldbody.add_light(pos=[1.0, -0.8, 2.5], dir=[-0.4, 0.3, -1.0], castshadow=True)
    model = spec.compile()
    data = mj.MjData(model)
    renderer = mj.Renderer(model, height, width)
    camera, frames = render_scene.camera(CAMERA), render_scene.frames(seen)
    lens = _mujoco_camera(render_scene.camera_frames(camera, seen)[0])
    model.vis.global_.fovy = float(np.degrees(camera.fov_y_rad))
    own = [(model.body(f"b{n}").mocapid[0], model.body(f"b{n}").geomadr[0]) for n in range(len(render_scene.pieces))]

    def draw(step: int) -> np.ndarray:
        for number, (mocap, _) in enumerate(own):
            frame = frames[step, number].astype(np.float64)
            data.mocap_pos[mocap] = frame[:3, 3]
            mj.mju_mat2Quat(data.mocap_quat[mocap], frame[:3, :3].ravel())
        mj.mj_kinematics(model, data)
        mj.mj_camlight(model, data)
        renderer.update_scene(data, lens)
        return renderer.render()

    return _each(draw)


def _mujoco_camera(at: np.ndarray) -> Any:
    import mujoco as mj

    camera, forward = mj.MjvCamera(), at[:3, 2]
    camera.type, camera.distance, camera.lookat[:] = mj.mjtCamera.mjCAMERA_FREE, 1.0, at[:3, 3] + forward
    camera.azimuth = float(np.degrees(np.arctan2(forward[1], forward[0])))
    camera.elevation = float(np.degrees(np.arcsin(forward[2])))
    return camera


RENDERERS: dict[str, Callable[[Seen, int, int], Draw]] = {
    "ours": ours,
    "ours_unsimplified": ours_unsimplified,
    "tiny": tiny,
    "egl_plugin": egl_plugin,
    "mujoco": mujoco,
}


def serve(pipe: Connection, name: str, seen: Seen, width: int, height: int) -> None:
    """Draw as many frames as asked for, and report how long one took; a negative number asks for one picture."""
    os.environ["MUJOCO_GL"] = "egl"
    draw = RENDERERS[name](seen, width, height)
    draw(0, 1)
    pipe.send(None)
    while (frames := pipe.recv()) is not None:
        if frames < 0:
            pipe.send(draw(SHOWN_STEP, SHOWN_STEP + 1))
            continue
        first = (STEPS - frames) // 2
        start = time.perf_counter()
        draw(first, first + frames)
        pipe.send((time.perf_counter() - start) / frames)


def compare(
    seen: Seen, width: int, height: int, names: dict[str, int], rounds: int, shown: Path | None
) -> dict[str, float]:
    """Return frames per second of each renderer, the median of the rounds; `names` gives the frames per round."""
    fresh = multiprocessing.get_context("spawn")
    pipes = {}
    for name in names:
        here, there = fresh.Pipe()
        fresh.Process(target=serve, args=(there, name, seen, width, height), daemon=True).start()
        pipes[name] = here
        here.recv()
    took: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, frames in names.items():
            pipes[name].send(frames)
            took[name].append(pipes[name].recv())
    if shown is not None:
        pictures = {}
        for name, pipe in pipes.items():
            pipe.send(-1)
            pictures[name] = pipe.recv()
        write_side_by_side(shown / f"{width}x{height}.png", pictures)
    for pipe in pipes.values():
        pipe.send(None)
    return {name: 1.0 / statistics.median(times) for name, times in took.items()}


def write_side_by_side(path: Path, pictures: dict[str, np.ndarray]) -> None:
    """Write the same frame from every renderer, three in a row, each with its name."""
    named = []
    for name, picture in pictures.items():
        drawn = np.ascontiguousarray(picture[:, :, ::-1])
        cv2.putText(
            drawn, name.replace("_", " "), (12, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (40, 40, 40), 2, cv2.LINE_AA
        )
        named.append(drawn)
    named += [np.full_like(named[0], 255)] * (-len(named) % 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack([np.hstack(named[first : first + 3]) for first in range(0, len(named), 3)]))


def episode_fps(seen: Seen, width: int, height: int, rounds: int) -> float:
    """Return frames per second over whole episodes of 600 frames, two workers, pictures sent back to this process."""
    shot = Shot(ROBOT, TASK, SEED, CAMERA, width, height)
    long = {name: np.concatenate([array] * (600 // STEPS)) for name, array in seen.items()}
    took = []
    with workers(2) as pool:
        for _ in range(rounds + 1):
            start = time.perf_counter()
            count = sum(1 for _ in render(shot, long, pool))
            took.append((time.perf_counter() - start) / count)
    return 1.0 / statistics.median(took[1:])


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--pictures", type=Path, help="a folder for the same frame from each renderer")
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    seen = recorded()
    large = {"ours": 60, "ours_unsimplified": 12, "tiny": 3, "egl_plugin": 12, "mujoco": 12}
    big = compare(seen, 640, 480, large, chosen.rounds, chosen.pictures)
    small = compare(
        seen, 224, 224, {"ours": 60, "tiny": 12, "egl_plugin": 20, "mujoco": 20}, chosen.rounds, chosen.pictures
    )
    found: dict[str, Any] = {
        "rounds": chosen.rounds,
        "ratio_640x480_vs_tiny": round(big["ours"] / big["tiny"], 1),
        "ratio_640x480_vs_egl_plugin": round(big["ours"] / big["egl_plugin"], 1),
        "ratio_640x480_vs_mujoco": round(big["ours"] / big["mujoco"], 1),
        "fps_640x480": round(big["ours"], 1),
        "fps_224x224": round(small["ours"], 1),
        "fps_640x480_two_workers": round(episode_fps(seen, 640, 480, chosen.rounds), 1),
        "fps_224x224_two_workers": round(episode_fps(seen, 224, 224, chosen.rounds), 1),
        "peers_640x480": {name: round(fps, 1) for name, fps in big.items()},
        "peers_224x224": {name: round(fps, 1) for name, fps in small.items()},
        "renderer": open_renderer(render_scene_of(ROBOT, TASK, SEED, 64), 64, 64).name,
    }
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
