"""What outlives an episode, the floor and the robot: loaded once, and rewound between episodes to the last bit.

Loading a robot is nearly all that a reset costs (its meshes become convex hulls). Rewinding must leave no trace of the
drive, not even in what the engine remembers besides positions: contacts, and bounds that it widens as things move.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sim.description import RobotDescription
from sim.physics import engine
from sim.physics.arm import Arm
from sim.physics.bodies import Bodies, Shapes
from sim.physics.bullet import BulletClient
from sim.physics.stepping import Stepping
from sim.scene import Body

_LOADED: Final = 2
"""How many bodies stay: the floor and the robot."""
_AWAY_M: Final = 1000.0


class Setup:
    """A floor and a robot in a client, to which an episode's things are added."""

    def __init__(self, client: BulletClient, description: RobotDescription, stepping: Stepping) -> None:
        engine.prepare(client, stepping)
        self._client = client
        self.arm = Arm(client, description, stepping)
        self._shapes = Shapes(client)
        if stepping.all_pairs:
            self.rewind()  # so that the first episode begins like any other: a rewind changes a base's last bits

    def add(self, bodies: Sequence[Body]) -> Bodies:
        """Add the things of an episode."""
        return Bodies(self._client, self._shapes, bodies)

    def rewind(self) -> None:
        """Take the things away, and put the robot into the state in which it was loaded."""
        client = self._client
        for index in reversed(range(_LOADED, client.getNumBodies())):
            client.removeBody(client.getBodyUniqueId(index))
        self._shapes.trim()
        self.arm.stand(raised_m=_AWAY_M)
        client.performCollisionDetection()  # away from the floor, the engine forgets all contacts
        self.arm.stand()
