"""The arithmetic of `sim.motion.kinematics`, from `_native.c`."""

from typing import final

from sim.robot import Vector

@final
class Chain:
    """A chain of joints, nearest the base first; arrays are contiguous float64."""

    def __new__(
        cls,
        order: tuple[int, ...],
        rotates: tuple[bool, ...],
        axes: Vector,
        basis: Vector,
        tip: Vector,
        lower: Vector,
        upper: Vector,
        home: Vector,
        /,
    ) -> Chain: ...
    def place(self, q: Vector, pose: Vector, jacobian: Vector, /) -> None: ...
    def approach(
        self,
        start: Vector,
        target: Vector,
        options: tuple[int, float, float, float, float, float, float, float],
        q: Vector,
        pose: Vector,
        jacobian: Vector,
        /,
    ) -> tuple[float, float]: ...
    def condition(self, jacobian: Vector, /) -> float: ...
    def within(self, path: Vector, lower: Vector, upper: Vector, /) -> bool: ...
    def away(self, q: Vector, target: Vector, /) -> tuple[float, float]: ...

def moved(pose: Vector, way: Vector, turn: Vector, lower: Vector, upper: Vector, out: Vector, /) -> bool: ...
