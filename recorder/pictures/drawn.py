"""Pictures of a simulated episode, drawn from its recorded states when someone asks for them, and then kept.

`draw` takes what an episode says (`Recorded`) and what is to be seen (`View`), so the same episode can be had again
from another camera, in another size or light, as depth or as a mask. The file of the pictures is named by the hash
of all that they follow from: the states, the scene, the robot's description, the view, the encoder, the renderer, and
the code that draws.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.pictures.cache import Found, PictureCache
from recorder.pictures.channel import Geometry, PictureCodec, Pictures
from recorder.pictures.encoded import Plane, codec_of, encoded, settings
from recorder.pictures.painters import painters
from sim.pictures.light import ROOM, Lighting
from sim.robot import Vector
from teleop.cameras.spec import DEPTH_UNIT_M

NOTHING: Final = "nothing"
"""What 0 is in a mask."""
_RENDERER: Final = "renderer.json"


@dataclass(frozen=True, slots=True)
class View:
    """What is to be seen: from which camera of the scene, how large, in which light."""

    camera: str
    width: int = 640
    height: int = 480
    light: Lighting = ROOM
    plane: Plane = Plane.COLOUR
    codec: PictureCodec | None = None
    """None: H.264 for colours. `PictureCodec.PNG` is lossless."""

    @property
    def encoded_as(self) -> PictureCodec:
        """The codec; raises CodecError or OddSizeError if these pictures cannot be encoded so."""
        return codec_of(self.plane, self.codec, self.width, self.height)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What pictures of an episode follow from. N+1 states."""

    robot: str
    """The model's name."""
    task: str
    seed: int
    control_hz: float
    seen: Mapping[str, Vector]
    """Observation arrays (N+1, ...), by name."""
    t_observed_ns: NDArray[np.int64]
    """(N+1,): the host's monotonic clock."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The pictures of N+1 states, and their geometry."""

    pictures: Pictures
    renderer: str
    """The program that drew them."""
    geometry: Geometry
    """How the camera sees and where it was: the pictures' own."""
    mask_names: tuple[str, ...] = field(default=())
    """What the numbers of a mask mean; 0 is nothing."""


def draw(
    recorded: Recorded, view: View, *, kept: PictureCache | None = None, executor: Executor | None = None
) -> Drawn:
    """Return the pictures of every state, from the cache if they are there.

    They are drawn by the executor's workers, by default by those of `painters`. Raises what
    `sim.pictures.render.render` raises, CodecError, OddSizeError, CacheError, and DrawingLostError.
    """
    kept = kept or PictureCache()
    codec = view.encoded_as
    says = _says(recorded, view)
    renderer = _remembered(kept)
    found = kept.get(key_of(says, renderer)) if renderer else None
    while found is None:
        executor = executor or painters()
        renderer = renderer or _asked(kept, executor)
        with kept.turn(key := key_of(says, renderer)):
            found = kept.get(key) or kept.get(_make(recorded, view, says, kept, executor))
    return _drawn(recorded, view, codec, found)


def key_of(says: Mapping[str, Any], renderer: str) -> str:
    """Return the name of an entry: the SHA-256 of all that the pictures follow from."""
    said = json.dumps({**says, "renderer": renderer}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()


def _says(recorded: Recorded, view: View) -> dict[str, Any]:
    """Return what the pictures follow from, but for the renderer; raise if they cannot be drawn."""
    from sim.catalogue import description
    from sim.pictures.render import require_size, scene_of
    from sim.pictures.render_scene import camera_named

    scene = scene_of(recorded.robot, recorded.task, recorded.seed, view.light)
    camera_named(scene, view.camera)
    require_size(view.width, view.height)
    codec = view.encoded_as
    return {
        "code": drawing_code(),
        "robot": recorded.robot,
        "description": _description(description(recorded.robot).model),
        "task": recorded.task,
        "seed": recorded.seed,
        "scene": hashlib.sha256(repr(scene).encode()).hexdigest(),
        "states": _digest(recorded.seen),
        "view": {**asdict(view), "codec": codec},
        "encoder": settings(codec),
    }


def _digest(seen: Mapping[str, Vector]) -> str:
    digest = hashlib.sha256()
    for name in sorted(seen):
        array = np.ascontiguousarray(seen[name], "<f8")
        digest.update(f"{name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@cache
def drawing_code() -> str:
    """Return the SHA-256 of the code that draws: of `sim.pictures` and `sim.model`, and of what encodes."""
    import sim.model
    import sim.pictures

    rooms = Path(sim.pictures.__path__[0]), Path(sim.model.__path__[0]), Path(__file__).parent
    files = [file for room in rooms for file in room.glob("*.py")]
    digests = sorted((file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files)
    return hashlib.sha256(repr(digests).encode()).hexdigest()


@cache
def _description(model: Any) -> str:
    """Return the SHA-256 of the files that say what a robot looks like."""
    from sim.model.urdf import urdf_files

    digest = hashlib.sha256()
    for path in urdf_files(model):
        beside = path.with_suffix(".mtl")
        for file in (path, beside) if beside.is_file() else (path,):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _conditions() -> str:
    """Return what makes it likely that the renderer is the one that it was: this machine's start, and orders."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    chosen = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("LIBGL_", "MESA_", "GALLIUM_", "EGL_", "__EGL_"))
    }
    return json.dumps([boot.read_text() if boot.is_file() else "", sys.prefix, chosen], sort_keys=True)


def _remembered(kept: PictureCache) -> str:
    """Return the name of the renderer here, if it is known without opening it."""
    try:
        conditions, name = json.loads(kept.remembered(_RENDERER) or "[]")
    except ValueError:
        return ""
    return str(name) if conditions == _conditions() else ""


def _remember(kept: PictureCache, name: str) -> None:
    kept.remember(_RENDERER, json.dumps([_conditions(), name]))


def _asked(kept: PictureCache, executor: Executor) -> str:
    """Open the renderer, in a worker, to learn its name."""
    from sim.pictures.render import renderer_name

    name = executor.submit(renderer_name).result()
    _remember(kept, name)
    return name


def _make(recorded: Recorded, view: View, says: Mapping[str, Any], kept: PictureCache, executor: Executor) -> str:
    """Draw, keep what was drawn, and return its key; that names the renderer which really drew."""
    from sim.pictures.render import Shot, render_as

    planes = {"depth": view.plane is Plane.DEPTH, "mask": view.plane is Plane.MASK}
    shot = Shot(
        recorded.robot, recorded.task, recorded.seed, view.camera, view.width, view.height, light=view.light, **planes
    )
    encode = partial(encoded, view.plane, view.encoded_as)
    geometry: dict[str, Any] = {"extrinsics": []}

    def pictures() -> Iterator[tuple[bytes, bool]]:
        for batch in render_as(shot, recorded.seen, executor, encode):
            geometry["renderer"], geometry["intrinsics"] = batch.renderer, batch.intrinsics.tolist()
            geometry["extrinsics"] += batch.extrinsics.tolist()
            yield from batch.pictures

    def ended() -> tuple[str, dict[str, Any]]:
        return key_of(says, geometry["renderer"]), {**geometry, "mask_names": _mask_names(shot)}

    key = kept.put(pictures(), ended)
    if _remembered(kept) != geometry["renderer"]:
        _remember(kept, geometry["renderer"])
    return key


def _mask_names(shot: Any) -> list[str]:
    from sim.pictures.render import render_scene_of

    pieces = render_scene_of(shot.robot, shot.task, shot.seed, shot.height).pieces if shot.mask else ()
    return [NOTHING, *(piece.name for piece in pieces)] if pieces else []


def _drawn(recorded: Recorded, view: View, codec: PictureCodec, found: Found) -> Drawn:
    head = found.head
    geometry = Geometry(np.array(head["intrinsics"]), np.array(head["extrinsics"]))
    pictures = Pictures(
        name=view.camera,
        codec=codec,
        width=view.width,
        height=view.height,
        fps=recorded.control_hz,
        data=found.data,
        end=found.end,
        t_captured_ns=recorded.t_observed_ns,
        key=found.key,
        depth_unit_m=DEPTH_UNIT_M if codec is PictureCodec.DEPTH16 else 0.0,
        geometry=geometry,
    )
    return Drawn(pictures, head["renderer"], geometry, tuple(head["mask_names"]))
