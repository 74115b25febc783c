"""Short digests of what this machine computes and what data say: a replay knows in advance whether it can match.

The C library chooses its `sin` by the processor (on x86-64, with or without fused multiply-add), and one time in a
thousand the last bit differs. A PyBullet built by another compiler may differ too. Neither shows in a version number.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, Final

from sim.physics.bullet import BulletClient, new_client, pybullet

_POINTS: Final = 4000
"""Per function: with and without fused multiply-add, about ten of all results differ in their last bit."""
_GOLDEN: Final = 0.6180339887498949
_FALL_STEPS: Final = 240


def digest(value: object) -> str:
    """Return 16 hex digits that name a value: numbers, text, tuples, mappings, or dataclasses of these.

    A dataclass is named by its fields that are not at their defaults, so that adding a field changes nothing.
    """
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))
    return _short(text.encode())


@cache
def libm() -> str:
    """Return a digest of the C library's elementary functions that PyBullet and scenes use, at many points."""
    ones = [(index * _GOLDEN) % 1.0 for index in range(1, _POINTS + 1)]
    found: list[float] = []
    for one in ones:
        angle, half = 6.4 * one - 3.2, 2.0 * one - 1.0
        found += (math.sin(angle), math.cos(angle), math.tan(angle), math.asin(half), math.acos(half))
        found += (math.atan2(half, angle), math.exp(angle), math.log(one), one**half, math.tanh(angle))
    return _short(struct.pack(f"<{len(found)}d", *found))


@cache
def roots() -> str:
    """Return a digest of the two functions of the C library that Ruckig uses and `libm` lacks, at as many points."""
    ones = [(index * _GOLDEN) % 1.0 for index in range(1, _POINTS + 1)]
    found = [value for one in ones for value in (math.cbrt(4.0 * one - 2.0), math.atan(8.0 * one - 4.0))]
    return _short(struct.pack(f"<{len(found)}d", *found))


@cache
def build() -> str:
    """Return a digest of a reference fall: an arm of three links and two things, as this build computes it here."""
    client = new_client()
    try:
        client.setPhysicsEngineParameter(deterministicOverlappingPairs=1)
        client.setGravity(0.0, 0.0, -9.81)
        return digest(_fall(client))
    finally:
        client.disconnect()


def _fall(client: BulletClient) -> list[object]:
    slab, brick, ball = (
        client.createCollisionShape(pybullet.GEOM_BOX, halfExtents=[2.0, 2.0, 0.1]),
        client.createCollisionShape(pybullet.GEOM_BOX, halfExtents=[0.05, 0.03, 0.2]),
        client.createCollisionShape(pybullet.GEOM_SPHERE, radius=0.05),
    )
    client.createMultiBody(0.0, slab, basePosition=[0.0, 0.0, -0.1])
    arm = client.createMultiBody(0.0, brick, basePosition=[0.0, 0.0, 0.3], **_chain(brick))
    client.setJointMotorControlArray(
        arm, [0, 1, 2], pybullet.POSITION_CONTROL, targetPositions=[0.7, -0.4, 1.1], forces=[2.0] * 3
    )
    client.createMultiBody(1.0, brick, basePosition=[0.3, 0.1, 0.6], baseOrientation=[0.48, 0.6, 0.64, 0.0])
    client.createMultiBody(0.5, ball, basePosition=[0.02, 0.01, 1.3])
    for _ in range(_FALL_STEPS):
        client.stepSimulation()
    bodies = range(client.getNumBodies())
    return [client.getBasePositionAndOrientation(body) for body in bodies] + [client.getJointStates(arm, [0, 1, 2])]


def _chain(brick: int) -> dict[str, Any]:
    return {
        "linkMasses": [1.0] * 3,
        "linkCollisionShapeIndices": [brick] * 3,
        "linkVisualShapeIndices": [-1] * 3,
        "linkPositions": [[0.12, 0.0, 0.2], [0.0, 0.08, 0.3], [0.12, 0.0, 0.3]],
        "linkOrientations": [[0.0, 0.0, 0.0, 1.0]] * 3,
        "linkInertialFramePositions": [[0.0, 0.0, 0.1]] * 3,
        "linkInertialFrameOrientations": [[0.0, 0.0, 0.0, 1.0]] * 3,
        "linkParentIndices": [0, 1, 2],
        "linkJointTypes": [pybullet.JOINT_REVOLUTE] * 3,
        "linkJointAxis": [[1, 0, 0], [0, 1, 0], [1, 0, 0]],
    }


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, float):
        return float(value).hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        said = {field.name: getattr(value, field.name) for field in fields(value)}
        told = {field.name: _plain(said[field.name]) for field in fields(value) if said[field.name] != _default(field)}
        return {"": type(value).__name__, **told}
    raise TypeError(f"expected numbers, text, tuples, mappings or dataclasses, got {value!r}")


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()
