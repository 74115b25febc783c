"""What an added robot looks like at home: one picture, and the links that it shows. Exports `portrait`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from sim.model.links import Links
from sim.model.urdf import read_urdf
from sim.own import read
from sim.pictures.picture import Picture
from sim.pictures.render import open_renderer
from sim.pictures.render_scene import RenderScene
from sim.pictures.visuals import link_meshes
from sim.robot import RobotSpec, Vector
from sim.rotation import looking
from sim.scene import Camera, Scene

_WIDE: Final = 960
_HIGH: Final = 720
_FOV_RAD: Final = 0.7
_TOWARDS: Final = (0.78, -0.62, 0.42)
"""From the robot to the camera: from the front, its right and above."""


def portrait(folder: Path) -> tuple[Picture, tuple[str, ...]]:
    """Return a picture of the robot in `folder` at home, and the links that can be seen in it; raise a RobotError."""
    robot = read(folder).description
    spec = robot.spec(robot.arrays, simulated=False, control_hz=1.0)
    camera = _camera(spec)
    scene = RenderScene(spec, Scene(cameras=(camera,)), _HIGH)
    seen: dict[str, Vector] = {"joint_position": spec.home_rad[None], "gripper_position": np.ones((1, spec.hands))}
    renderer = open_renderer(scene, _WIDE, _HIGH)
    try:
        at, frames = scene.camera_frames(camera, seen)[0], scene.frames(seen)[0]
        picture = renderer.draw(camera, at, frames, mask=True)
    finally:
        renderer.close()
    numbers = set(np.unique(np.asarray(picture.mask)).tolist())
    links = tuple(piece.name for number, piece in enumerate(scene.pieces[1:], start=2) if number in numbers)
    return picture, links


def _camera(spec: RobotSpec) -> Camera:
    """Return a camera that has all of the robot in view."""
    tree = Links(read_urdf(spec.model.urdf_path), spec.joint_names)
    frames = tree.frames(spec.home_rad[None])[0]
    corners = []
    for name, mesh in link_meshes(spec.model).items():
        frame = frames[tree.names.index(name)]
        if len(mesh.positions):
            corners.append(mesh.positions.astype(np.float64) @ frame[:3, :3].T + frame[:3, 3])
    points = np.concatenate(corners or [np.zeros((1, 3))])
    low, high = points.min(axis=0), points.max(axis=0)
    middle, size = 0.5 * (low + high), max(float(np.linalg.norm(high - low)), 0.1)
    towards = np.array(_TOWARDS) / np.linalg.norm(_TOWARDS)
    place = middle + towards * (0.62 * size / np.tan(0.5 * _FOV_RAD))
    position, target = tuple(place.tolist()), tuple(middle.tolist())
    return Camera("portrait", position, looking(position, target), fov_y_rad=_FOV_RAD)
