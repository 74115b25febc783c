"""Where every link of a robot is, for many postures at once: pure NumPy. Exports `Links`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.model.urdf import Joint, Urdf
from sim.robot import Vector


class Links:
    """The tree of a URDF, from its base. Joints that are not named are at zero."""

    def __init__(self, urdf: Urdf, joint_names: Sequence[str]) -> None:
        """Order the tree; raise UnknownJointError for a joint that it does not have."""
        self.names = urdf.links
        self._base = urdf.links.index(urdf.base_link)
        column = {urdf.joint(name).name: index for index, name in enumerate(joint_names)}
        self._joints: list[tuple[int, int, Joint, int | None]] = []
        placed = {urdf.base_link}
        waiting = list(urdf.joints.values())
        while waiting:
            ready = [joint for joint in waiting if joint.parent in placed]
            if not ready:
                break  # attached to nothing: never drawn
            for joint in ready:
                ends = urdf.links.index(joint.parent), urdf.links.index(joint.child)
                self._joints.append((*ends, joint, column.get(joint.name) if joint.moves else None))
                placed.add(joint.child)
            waiting = [joint for joint in waiting if joint.child not in placed]
        self.moving = self._moving()
        """(L,) bool: whether any named joint carries the link."""

    def frames(self, positions: Vector) -> Vector:
        """Return (N, L, 4, 4): each link's frame in the base's, at joint positions (N, D) in the order of the names."""
        count = len(positions)
        frames = np.zeros((count, len(self.names), 4, 4))
        frames[:, self._base] = np.eye(4)
        for parent, child, joint, column in self._joints:
            frame = frames[:, parent] @ joint.origin
            frames[:, child] = frame if column is None else frame @ _moved(joint, positions[:, column])
        return frames

    def _moving(self) -> NDArray[np.bool_]:
        moving = np.zeros(len(self.names), dtype=np.bool_)
        for parent, child, _, column in self._joints:
            moving[child] = moving[parent] or column is not None
        return moving


def _moved(joint: Joint, positions: Vector) -> Vector:
    """Return (N, 4, 4): what the joint adds at each of its positions (N,), by Rodrigues' formula if it rotates."""
    moved = np.tile(np.eye(4), (len(positions), 1, 1))
    if not joint.rotates:
        moved[:, :3, 3] = positions[:, None] * joint.axis
        return moved
    x, y, z = joint.axis
    cross = np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))
    sine, rest = np.sin(positions)[:, None, None], (1.0 - np.cos(positions))[:, None, None]
    moved[:, :3, :3] += sine * cross + rest * (cross @ cross)
    return moved
