"""What an export calls an action: five spaces, each in [-1, 1] as the Gymnasium control of the same name takes it.

`ee_twist` is what the operator commanded; the others are what was then applied, after safety and every limit. So a
policy that was trained on one of them acts in `gymnasium.make(space.env.id, **space.env.kwargs)` without any scaling.
docs/exporting.md says which to choose.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from recorder.export.errors import ActionError
from recorder.file.episode import Episode
from recorder.file.layout import IMPORTED_ACTION
from recorder.file.meta import EndEffectorMeta, ImportedAction, Meta, SpecMeta
from sim.motion.limits import EE_ROTATION_MAX_RAD_S, EE_SPEED_MAX_M_S
from sim.robot import Vector
from sim.words import listed
from teleop.wire.messages import Mode, Safety

ActionName = Literal["ee_twist", "ee_pose", "ee_delta", "joint_position", "joint_delta"]
ACTIONS: Final[tuple[ActionName, ...]] = get_args(ActionName)
SOURCE: Final = "source"
"""The actions of an imported episode, as the set that it comes from has them, whatever they are."""

_HOLDS: Final = frozenset({int(Mode.NEUTRAL), 255})
"""Modes of `/commanded` that ask for no motion: neutral, and no command yet."""
_BEYOND: Final = 1e-3
"""By how much an action may miss [-1, 1] before it counts as clipped: applied poses and positions are rounded."""


class Actions(NamedTuple):
    """The actions of one episode."""

    values: NDArray[np.float32]
    """(N, A), in [-1, 1]."""
    driven: NDArray[np.bool_]
    """(N,): whether the operator drove. In other steps the robot held, or came to rest, whatever was commanded."""


@dataclass(frozen=True, slots=True)
class EnvArgs:
    """The environment that takes these actions."""

    id: str
    """For `gymnasium.make`; empty for a real robot, which has no environment."""
    kwargs: Mapping[str, Any]

    @property
    def call(self) -> str:
        """The call that makes it, as Python; empty for a real robot."""
        said = "".join(f", {name}={value!r}" for name, value in self.kwargs.items())
        return f"gymnasium.make({json.dumps(self.id)}{said})" if self.id else ""  # whoever copies it runs it


@dataclass(frozen=True, slots=True)
class ActionSpace:
    """One kind of action of one robot. A = len(names)."""

    name: str
    """One of `ACTIONS`; or `source`."""
    names: tuple[str, ...]
    """What each of the A numbers is."""
    env: EnvArgs

    def of(self, episode: Episode) -> Actions:
        """Return an episode's actions; raise ActionError if it does not have them."""
        if episode.meta.origin is not None:
            return Actions(self._imported(episode).astype(np.float32), driven_steps(episode))
        values = np.clip(self._raw(episode), -1.0, 1.0).astype(np.float32)
        return Actions(values, driven_steps(episode))

    def clipped(self, episode: Episode) -> int:
        """Return how many driven steps went beyond [-1, 1], and so are exported as less than what happened."""
        if episode.meta.origin is not None:
            return 0  # nothing of what the source has is clipped
        beyond = (np.abs(self._raw(episode)) > 1.0 + _BEYOND).any(axis=1)
        return int((beyond & driven_steps(episode)).sum())

    @property
    def bounded(self) -> bool:
        """Whether its numbers are in [-1, 1]; what only a source knows may be anything."""
        return self.name != SOURCE

    def _raw(self, episode: Episode) -> Vector:
        if self.name not in _SPACES:
            raise ActionError(
                f"{episode.meta.episode} was not imported, so it has no action {self.name!r}. Export it apart."
            )
        return _SPACES[self.name](episode)

    def _imported(self, episode: Episode) -> Vector:
        """Return the source's own actions, never converted; raise ActionError if they are others than these."""
        action = imported_action(episode.meta)
        if (action.name, tuple(action.names)) != (self.name, self.names):
            raise ActionError(
                f"{episode.meta.episode} was imported with the action {action.name!r} ({len(action.names)} numbers), "
                f"and the data set has {self.name!r} ({len(self.names)}). Export them apart: nothing is converted."
            )
        return episode.arrays[IMPORTED_ACTION]


def imported_action(meta: Meta) -> ImportedAction:
    """Return what an imported episode's actions are; raise ActionError if it was not imported."""
    if meta.origin is None:
        raise ActionError(f"{meta.episode} was not imported, so it has no action {SOURCE!r}. Name one of its own.")
    return meta.origin.action


def _imported_space(name: str, meta: Meta) -> ActionSpace:
    """Return the space of an imported episode: the one that its source has; raise ActionError for any other."""
    action = imported_action(meta)
    if name not in (SOURCE, action.name):
        raise ActionError(
            f"{meta.episode} was imported with the action {action.name!r} only, and actions are never converted. "
            f"Use --action {SOURCE}."
        )
    known = next((one for one in ACTIONS if one == action.name), None)
    return ActionSpace(
        action.name, tuple(action.names), _env(known, meta) if known else EnvArgs("", {"control": SOURCE})
    )


def action_space(name: str, meta: Meta) -> ActionSpace:
    """Return the space of that name for the robot and task of an episode; raise ActionError if it has none.

    An imported episode has one space, its source's.
    """
    if meta.origin is not None:
        return _imported_space(name, meta)
    if name == SOURCE:
        imported_action(meta)
    known = next((one for one in ACTIONS if one == name), None)
    if known is None:
        raise ActionError(f"There is no action {name!r}. There are {listed(ACTIONS)}.")
    _require_known_frames(known, meta)
    return ActionSpace(known, _names(known, meta.spec), _env(known, meta))


def driven_steps(episode: Episode) -> NDArray[np.bool_]:
    """Return (N,): the steps in which safety let the operator drive."""
    driven: NDArray[np.bool_] = episode.arrays["safety"] == int(Safety.DRIVING)
    return driven


def _env(name: ActionName, meta: Meta) -> EnvArgs:
    if not meta.robot.simulated:
        return EnvArgs("", {"control": name})
    from sim.registry import env_name  # here: it loads Gymnasium

    made = env_name(meta.robot.model, meta.task.name, meta.task.version)
    return EnvArgs(f"sim.gym:{made}", {"control": name})


def _require_known_frames(name: ActionName, meta: Meta) -> None:
    """Raise ActionError unless the file says where a hand's base link is; a mobile base's joints do."""
    fixed = [end.name for end in meta.spec.end_effectors if end.base_link is not None and meta.spec.base is None]
    if fixed and name in ("ee_pose", "ee_delta"):
        raise ActionError(
            f"{meta.episode}: {name} is told in the frame of a link that carries {listed(fixed)}, and the episode "
            "does not say where that is. Use --action joint_position, joint_delta or ee_twist."
        )


_HAND_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "ee_twist": ("vx", "vy", "vz", "wx", "wy", "wz"),
    "ee_pose": ("x", "y", "z", "rx", "ry", "rz"),
    "ee_delta": ("dx", "dy", "dz", "drx", "dry", "drz"),
}


def _names(name: ActionName, spec: SpecMeta) -> tuple[str, ...]:
    if name in ("joint_position", "joint_delta"):
        return (*spec.joint_names, *(_of(end, spec, "gripper") for end in spec.end_effectors))
    hands = tuple(_of(end, spec, part) for end in spec.end_effectors for part in (*_HAND_NAMES[name], "gripper"))
    return hands if spec.base is None else (*hands, "base_forward", "base_turn")


def _of(end: EndEffectorMeta, spec: SpecMeta, part: str) -> str:
    return part if len(spec.end_effectors) == 1 else f"{end.name}_{part}"


def _ee_twist(episode: Episode) -> Vector:
    """Return (N, A): the commanded twist as fractions of the top speeds; holding still, if it was not driven.

    A command that the controller would not take (the wrong number of values, or one that is not finite) holds too.
    """
    spec, sizes = episode.meta.spec, episode.meta.spec.sizes
    mode = episode.arrays["commanded/mode"]
    driven = driven_steps(episode) & ~np.isin(mode, sorted(_HOLDS))
    _require_twists(episode, mode[driven])
    arms = 7 * sizes.hands
    width = arms + (2 if sizes.base else 0)
    count, asked = episode.arrays["commanded/count"], episode.arrays["commanded/values"][:, :width].astype(np.float64)
    if sizes.base:
        asked[:, arms:][count == arms] = 0.0  # a twist that says nothing of the base leaves it at rest
    taken = driven & np.isin(count, (arms, width)) & np.isfinite(asked).all(axis=1)
    asked[~taken] = 0.0
    hands = asked[:, :arms].reshape(-1, sizes.hands, 7)
    for part, most in ((slice(0, 3), EE_SPEED_MAX_M_S), (slice(3, 6), EE_ROTATION_MAX_RAD_S)):
        hands[..., part] = _within(hands[..., part] / most)
    hands[..., 6] = 2.0 * hands[..., 6] - 1.0
    hands[~taken, :, 6] = _grippers(episode)[~taken]
    if spec.base is None:
        return hands.reshape(-1, arms)
    base = asked[:, arms:] / (spec.base.speed_max_m_s, spec.base.turn_max_rad_s)
    return np.hstack([hands.reshape(-1, arms), base])


def _require_twists(episode: Episode, modes: NDArray[np.uint8]) -> None:
    """Raise ActionError unless every command that drove was a twist."""
    others = sorted({int(mode) for mode in modes} - {int(Mode.EE_TWIST)})
    if not others:
        return
    known = {int(Mode.JOINT_POSITION): "joint positions", int(Mode.EE_POSE): "poses of the hand"}
    what = listed(known.get(mode, f"mode {mode}") for mode in others)
    fits = "joint_position or joint_delta" if int(Mode.JOINT_POSITION) in others else "ee_pose or ee_delta"
    raise ActionError(
        f"{episode.meta.episode} was driven by {what}, so nobody commanded a twist. "
        f"Use --action {fits}, which is what the robot then did, or leave the episode out."
    )


def _within(vectors: Vector) -> Vector:
    """Return (..., 3) shortened to length 1 if they are longer, as the controller shortens them."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(lengths > 1.0 + 1e-6, vectors / np.maximum(lengths, 1e-12), vectors)


def _grippers(episode: Episode) -> Vector:
    """Return (N, K): -1 closed to 1 open; open for a hand without a gripper."""
    applied = 2.0 * np.clip(episode.applied_gripper, 0.0, 1.0) - 1.0
    without = [not end.gripper_joints for end in episode.meta.spec.end_effectors]
    applied[:, without] = 1.0
    return applied


def _ee_pose(episode: Episode) -> Vector:
    """Return (N, A): places in the workspace, rotation vectors in half turns, grippers."""
    ends = episode.meta.spec.end_effectors
    low = np.array([end.workspace_lower_m for end in ends])
    high = np.array([end.workspace_upper_m for end in ends])
    poses = _targets(episode)[1:]
    places = 2.0 * (poses[..., :3] - low) / (high - low) - 1.0
    turns = np.stack([_steady(_rotvec(poses[:, hand, 3:])) for hand in range(len(ends))], axis=1) / np.pi
    return _with_base(episode, _packed(places, turns, _grippers(episode)))


def _ee_delta(episode: Episode) -> Vector:
    """Return (N, A): from the pose that was targeted last, as fractions of how far the top speeds go in a period."""
    poses, hz = _targets(episode), episode.meta.spec.control_hz
    moved = np.diff(poses[..., :3], axis=0) * (hz / EE_SPEED_MAX_M_S)
    turned = _rotvec(_times(poses[1:, :, 3:], _inverse(poses[:-1, :, 3:]))) * (hz / EE_ROTATION_MAX_RAD_S)
    return _with_base(episode, _packed(moved, turned, _grippers(episode)))


def _joint_position(episode: Episode) -> Vector:
    """Return (N, J + K): joints between their limits, grippers."""
    spec = episode.meta.spec
    low, high = np.array(spec.joint_lower_rad), np.array(spec.joint_upper_rad)
    joints = 2.0 * (episode.applied_joint_position - low) / np.maximum(high - low, 1e-12) - 1.0
    return np.hstack([joints, _grippers(episode)])


def _joint_delta(episode: Episode) -> Vector:
    """Return (N, J + K): from the position that was targeted last, as fractions of a period at top speed; grippers."""
    spec = episode.meta.spec
    fastest = np.array(spec.joint_velocity_max_rad_s)
    moved = np.diff(_joint_targets(episode), axis=0) * spec.control_hz / fastest
    return np.hstack([moved, _grippers(episode)])


def _joint_targets(episode: Episode) -> Vector:
    """Return (N+1, J): what was observed first, then what each step applied."""
    return np.vstack([episode.observation("joint_position")[:1], episode.applied_joint_position])


def _targets(episode: Episode) -> Vector:
    """Return (N+1, K, 7), each in its hand's base frame: what was observed first, then what each step applied."""
    spec = episode.meta.spec
    seen = np.stack([episode.observation(end.pose)[:1] for end in spec.end_effectors], axis=1)
    poses = np.concatenate([seen, episode.applied_ee_pose])
    if spec.base is None:
        return poses
    carried = [end.base_link is not None for end in spec.end_effectors]
    return np.where(np.array(carried)[None, :, None], _from_base(poses, _base_places(episode)[:, None]), poses)


def _base_places(episode: Episode) -> Vector:
    """Return (N+1, 3): the base's x, y and heading, as `_joint_targets`."""
    spec = episode.meta.spec
    if spec.base is None:
        raise ActionError(f"{episode.meta.episode}: {episode.meta.robot.model} has no mobile base")
    return _joint_targets(episode)[:, [spec.joint_names.index(name) for name in spec.base.joint_names]]


def _from_base(poses: Vector, places: Vector) -> Vector:
    """Return poses (..., 7) of the robot's frame in that of a base that stands at `places` (..., 3)."""
    x, y, heading = (places[..., axis] for axis in range(3))
    away_x, away_y = poses[..., 0] - x, poses[..., 1] - y
    cos, sin = np.cos(heading), np.sin(heading)
    there = np.stack([cos * away_x + sin * away_y, cos * away_y - sin * away_x, poses[..., 2]], axis=-1)
    zero = np.zeros_like(heading)
    back = np.stack([zero, zero, -np.sin(0.5 * heading), np.cos(0.5 * heading)], axis=-1)
    return np.concatenate([there, _times(back, poses[..., 3:])], axis=-1)


def _with_base(episode: Episode, hands: Vector) -> Vector:
    """Return `hands` (N, 7 K) followed by a mobile base's speeds, if there is one, as fractions of the top speeds."""
    spec = episode.meta.spec
    if spec.base is None:
        return hands
    places = _base_places(episode)
    away, heading = np.diff(places, axis=0) * spec.control_hz, places[:-1, 2]
    ahead = np.cos(heading) * away[:, 0] + np.sin(heading) * away[:, 1]
    speeds = np.stack([ahead / spec.base.speed_max_m_s, away[:, 2] / spec.base.turn_max_rad_s], axis=1)
    return np.hstack([hands, speeds])


def _packed(places: Vector, turns: Vector, grippers: Vector) -> Vector:
    return np.concatenate([places, turns, grippers[..., None]], axis=-1).reshape(len(places), -1)


def _steady(turns: Vector) -> Vector:
    """Return rotation vectors (N, 3) of the same rotations, each as near to the one before as the space allows.

    A gripper that points straight down is turned by half a turn, and there the shorter way round flickers.
    """
    made = turns.copy()
    lengths = np.linalg.norm(turns, axis=1)
    others = turns * (1.0 - 2.0 * np.pi / np.maximum(lengths, 1e-9))[:, None]
    may = (lengths > 0.5 * np.pi) & (np.abs(others) <= np.pi).all(axis=1)
    for row in np.flatnonzero(may[1:]) + 1:
        before = made[row - 1]
        if np.linalg.norm(others[row] - before) < np.linalg.norm(made[row] - before):
            made[row] = others[row]
    return made


def _times(a: Vector, b: Vector) -> Vector:
    """Return the quaternions a b (..., 4): first turn by b, then by a."""
    ax, ay, az, aw = (a[..., axis] for axis in range(4))
    bx, by, bz, bw = (b[..., axis] for axis in range(4))
    parts = (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )
    return np.stack(parts, axis=-1)


def _inverse(q: Vector) -> Vector:
    return q * (-1.0, -1.0, -1.0, 1.0)


def _rotvec(q: Vector) -> Vector:
    """Return (..., 3) rad of unit quaternions (..., 4): the shorter way round."""
    q = np.where(q[..., 3:] < 0.0, -q, q)
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    scale = np.where(sine < 1e-12, 2.0, 2.0 * np.arctan2(sine, q[..., 3:]) / np.maximum(sine, 1e-12))
    return q[..., :3] * scale


_SPACES: Final[dict[str, Callable[[Episode], Vector]]] = {
    "ee_twist": _ee_twist,
    "ee_pose": _ee_pose,
    "ee_delta": _ee_delta,
    "joint_position": _joint_position,
    "joint_delta": _joint_delta,
}
