"""What surrounds the robot in its room, as data: bodies made of simple shapes, lights, and cameras.

Physics, the browser's view and a data set's pictures are all made from one `Scene`.
Metres, radians; quaternions are (x, y, z, w); colours are red, green, blue and opacity in [0, 1], as a screen shows
them (sRGB).
"""

from __future__ import annotations

from dataclasses import dataclass, field

Triple = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Rgba = tuple[float, float, float, float]

UPRIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Box:
    """A cuboid, centred."""

    half_extents_m: Triple


@dataclass(frozen=True, slots=True)
class Sphere:
    """A ball, centred."""

    radius_m: float


@dataclass(frozen=True, slots=True)
class Cylinder:
    """A cylinder along z, centred."""

    radius_m: float
    length_m: float


Shape = Box | Sphere | Cylinder


@dataclass(frozen=True, slots=True)
class Part:
    """One shape of a body, placed in the body's frame."""

    shape: Shape
    position_m: Triple = (0.0, 0.0, 0.0)
    orientation: Quaternion = UPRIGHT
    rgba: Rgba | None = None
    """None: the body's colour."""
    solid: bool = True
    """Whether it exists in the physics; a mark on the floor is only seen."""


@dataclass(frozen=True, slots=True)
class Slide:
    """A body that moves along one axis of another, as a drawer does in its cabinet."""

    of: str
    """The name of the fixed body that it slides on."""
    axis: Triple
    """In the carrier's frame."""
    lower_m: float
    upper_m: float
    friction_n: float = 0.5
    """The force that it takes to move it."""


@dataclass(frozen=True, slots=True)
class Body:
    """A thing. It is drawn where the observation array `pose_from` says, or else at its placed pose."""

    name: str
    parts: tuple[Part, ...]
    rgba: Rgba
    position_m: Triple = (0.0, 0.0, 0.0)
    orientation: Quaternion = UPRIGHT
    mass_kg: float = 0.0
    """0 means that it is fixed where it is placed."""
    friction: float = 0.8
    rolling_friction: float = 0.0
    slide: Slide | None = None
    pose_from: str | None = None
    """The observation array (7,), or (n, 7) with `row`, that says where it is."""
    row: int | None = None
    goal: bool = False
    """Whether the task's things, or a hand, should get there: an operator's display marks it. Physics ignores it."""


@dataclass(frozen=True, slots=True)
class Light:
    """One distant light that casts shadows, and an even one that does not."""

    towards: Triple = (-0.4, 0.3, -1.0)
    """The direction in which it shines; any length."""
    intensity: float = 0.75
    ambient: float = 0.45


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera. Its frame is OpenCV's: x right, y down, z forward."""

    name: str
    position_m: Triple
    """In the room, or in the frame of `link`."""
    orientation: Quaternion
    """Turns the camera's frame into the room's, or into the link's."""
    fov_y_rad: float = 0.8
    link: str | None = None
    """The robot's link that carries it; None: it is fixed in the room."""
    near_m: float = 0.02
    far_m: float = 6.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is drawn besides the robot."""

    bodies: tuple[Body, ...] = ()
    light: Light = field(default_factory=Light)
    cameras: tuple[Camera, ...] = ()
    floor_rgba: Rgba = (0.86, 0.87, 0.86, 1.0)
