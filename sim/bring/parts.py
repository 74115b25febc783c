"""Which joints of a URDF are the arm, which are its gripper, and which link carries the fingers.

Exports `parts_of`. A URDF says none of it: names and the shape of the tree do, and what was assumed is said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sim.model.urdf import Joint, Urdf, UrdfError
from sim.words import listed

_FINGER: Final = re.compile(r"finger|grip|jaw|knuckle|claw|pinch|thumb", re.IGNORECASE)
_ARM_MIN: Final = 3
_BRANCH_MIN: Final = 4
"""A branch with this many joints is an arm, and with fewer it is a finger, or a head."""


class UnlikeAnArmError(UrdfError):
    """The robot is not one arm with at most one gripper, which is what can be added without a person's description."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The joints of an arm, from its base, and of its gripper."""

    arm: tuple[Joint, ...]
    palm: str
    """The link that carries the fingers, or that the last joint of the arm moves."""
    fingers: tuple[Joint, ...]
    """In the order of the file; a joint that mimics another is one of its own."""
    welded: tuple[str, ...]
    """Joints that move and are neither: they are kept at zero."""


def parts_of(urdf: Urdf, mimics: Collection[str], wanted: Sequence[str] = ()) -> Parts:
    """Return the parts of a URDF's tree; raise UnlikeAnArmError.

    `mimics` are the joints that follow another, which only grippers have here; `wanted` names the gripper's joints if
    they are known.
    """
    for name in wanted:
        urdf.joint(name)
    tree = _Tree(urdf, mimics, frozenset(wanted))
    arm: list[Joint] = []
    link: str = urdf.base_link
    first: tuple[Joint, ...] = ()
    while branches := tree.branches(link):
        first = tuple(branches)
        if all(tree.is_gripper(joint) for joint in branches):
            break
        joint = tree.stem(branches)
        if joint.moves:
            arm.append(joint)
        link, first = joint.child, ()
    if len(arm) < _ARM_MIN:
        raise UnlikeAnArmError(
            f"{urdf.path}: an arm has at least {_ARM_MIN} joints, and from {urdf.base_link!r} on there are "
            f"{len(arm)} ({listed(joint.name for joint in arm)}); name the gripper's joints with --gripper, or write a "
            "description by hand (docs/adding-a-robot.md)"
        )
    fingers = [joint for one in first for joint in tree.moving(one)]
    driven = {joint.name for joint in (*arm, *fingers)}
    welded = tuple(joint.name for joint in urdf.joints.values() if joint.moves and joint.name not in driven)
    ordered = tuple(joint for joint in urdf.joints.values() if joint in fingers)
    return Parts(tuple(arm), link, ordered, welded)


class _Tree:
    """Which joints hang on which link."""

    def __init__(self, urdf: Urdf, mimics: Collection[str], wanted: Collection[str]) -> None:
        self._path, self._mimics, self._wanted = urdf.path, mimics, wanted
        self._below: Mapping[str, list[Joint]] = {
            link: [joint for joint in urdf.joints.values() if joint.parent == link] for link in urdf.links
        }

    def moving(self, joint: Joint) -> list[Joint]:
        """Return the joint, if it moves, and all moving ones that it carries."""
        return [one for one in self._all(joint) if one.moves]

    def branches(self, link: str) -> list[Joint]:
        """Return the joints of a link that lead to something that moves."""
        return [joint for joint in self._below[link] if self.moving(joint)]

    def is_gripper(self, joint: Joint) -> bool:
        """Whether all that moves from here on belongs to a gripper."""
        if self._wanted:
            return all(one.name in self._wanted or one.name in self._mimics for one in self.moving(joint))
        siblings = len(self.branches(joint.parent))
        return all(self._is_finger(one, siblings > 1) for one in self.moving(joint))

    def _is_finger(self, joint: Joint, branched: bool) -> bool:
        few = branched and len(self.moving(joint)) < _BRANCH_MIN
        return joint.name in self._mimics or _FINGER.search(joint.name) is not None or few

    def stem(self, branches: Sequence[Joint]) -> Joint:
        """Return the branch that the arm goes on with; raise UnlikeAnArmError if there are two."""
        long = [one for one in branches if len(self.moving(one)) >= _BRANCH_MIN and not self.is_gripper(one)]
        if len(branches) == 1:
            return branches[0]
        if len(long) == 1:
            return long[0]
        raise UnlikeAnArmError(
            f"{self._path}: this is more than one arm, as several parts move on {branches[0].parent!r}: "
            f"{listed(one.name for one in branches)}; write a description by hand (docs/adding-a-robot.md)"
        )

    def _all(self, joint: Joint) -> Iterator[Joint]:
        yield joint
        for below in self._below[joint.child]:
            yield from self._all(below)
