"""The OpenGL renderer: a scene drawn through EGL, on a GPU if there is one, otherwise on the CPU by Mesa's llvmpipe.

Exports `GlRenderer`. On a CPU every shaded pixel costs, so as long as the camera does not move, static things are drawn
once, with their depth and the shadows that they cast. Each further frame starts from a copy of that, draws only what
moves, and redraws the ground that its shadow can reach.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from sim.pictures.mesh import Mesh, joined
from sim.pictures.picture import Floats, Picture, Pixels, intrinsics
from sim.pictures.render_scene import RenderScene
from sim.pictures.shaders import (
    DEPTH_FRAGMENT,
    DEPTH_VERTEX,
    MASK_FRAGMENT,
    MASK_VERTEX,
    PIECES_MAX,
    SCENE_FRAGMENT,
    SCENE_VERTEX,
)
from sim.robot import RobotError, Vector
from sim.scene import Camera

_TEXELS: Final = ((300, 320), (600, 512))
"""Pictures up to this many pixels high, and the texels per side of their shadow maps."""
_FINE_TEXELS: Final = 1024
SKY: Final = (0.80, 0.84, 0.88)
"""The background colour, linear."""
_FADE_M: Final = (2.5, 6.0)
"""Between these distances from the middle of the room the floor fades into the sky."""
_BIAS: Final = 0.001
"""An offset to the depth of a shadow map."""
_HALVED: Final = np.array(((0.5, 0, 0, 0.5), (0, 0.5, 0, 0.5), (0, 0, 0.5, 0.5 - _BIAS), (0, 0, 0, 1.0)))
"""From clip space to a texture's."""


_here: Final = threading.local()
"""A context is current in one thread only, so each that draws has one of its own."""


class NoOpenGlError(RobotError):
    """OpenGL 3.3 through EGL is not available here."""


class GlRenderer:
    """Draws one scene at one size. Belongs to the thread that made it."""

    def __init__(self, render_scene: RenderScene, width: int, height: int) -> None:
        """Upload the meshes; raise NoOpenGlError."""
        if len(render_scene.pieces) > PIECES_MAX:
            raise NoOpenGlError(f"expected at most {PIECES_MAX} things to draw, got {len(render_scene.pieces)}")
        self._size = width, height
        self._gl = gl = context()
        self._programs = programs(gl)
        self._pieces = gl.buffer(reserve=64 * PIECES_MAX)
        self._still = _Group(gl, render_scene, moves=False)
        self._moving = _Group(gl, render_scene, moves=True)
        self._maps = _ShadowMap(gl, height), _ShadowMap(gl, height)
        self._behind = _target(gl, self._size)
        self._easels = _Easel(gl, self._size), _Easel(gl, self._size)
        self._light = render_scene.scene.light
        away = -np.asarray(self._light.towards, np.float64)
        self._to_light: Vector = away / np.linalg.norm(away)
        self._drawn_still = self._drawn_behind = b""

    @property
    def name(self) -> str:
        """The program that draws."""
        return name(self._gl)

    def draw(
        self, camera: Camera, camera_frame: Vector, frames: Floats, *, depth: bool = False, mask: bool = False
    ) -> Picture:
        """Return what `camera` at `camera_frame` (4, 4) sees with the pieces at `frames` (P, 4, 4)."""
        (picture,) = self.sequence(camera, camera_frame[None], frames[None], depth=depth, mask=mask)
        return picture

    def sequence(
        self, camera: Camera, camera_frames: Vector, frames: Floats, *, depth: bool = False, mask: bool = False
    ) -> Iterator[Picture]:
        """Yield what `camera` sees at each of N steps: its frames (N, 4, 4), and those of the pieces (N, P, 4, 4).

        A picture is fetched while the next one is drawn: on a CPU the shading of one goes on in other threads while
        this one prepares the triangles of the next.
        """
        waiting: tuple[_Easel, Vector] | None = None
        for step, (at, pieces) in enumerate(zip(camera_frames, frames, strict=True)):
            easel = self._easels[step % len(self._easels)]
            self._paint(easel, camera, at, pieces, mask)
            if waiting is not None:
                yield self._taken(*waiting, camera, depth, mask)
            waiting = easel, at
        if waiting is not None:
            yield self._taken(*waiting, camera, depth, mask)

    def close(self) -> None:
        """Free what was uploaded."""
        for thing in (self._pieces, self._behind, *self._easels, *self._maps, self._still, self._moving):
            thing.release()

    def _paint(self, easel: _Easel, camera: Camera, at: Vector, frames: Floats, mask: bool) -> None:
        """Begin one picture."""
        gl = self._gl
        view = _projection(camera, self._size) @ np.linalg.inv(at)
        self._pieces.write(np.ascontiguousarray(frames.transpose(0, 2, 1)))
        self._pieces.bind_to_uniform_block(0)
        self._draw_behind(view, frames)
        gl.copy_framebuffer(easel.canvas, self._behind)
        corners = self._moving.corners(frames)
        self._maps[1].draw(self._programs.depth, self._moving, corners, self._to_light)
        easel.canvas.use()
        self._shade(view)
        self._darken(easel.canvas, view, corners)
        gl.depth_func = "<"
        self._moving.shaded.render()
        if mask:
            easel.masked.use()
            easel.masked.clear(0.0, depth=1.0)
            _set(self._programs.mask, "view", view)
            for group in (self._still, self._moving):
                group.numbered.render()

    def _taken(self, easel: _Easel, at: Vector, camera: Camera, depth: bool, mask: bool) -> Picture:
        """Wait for a picture and fetch it."""
        return Picture(
            rgb=easel.colours(),
            depth=easel.depth(camera) if depth else None,
            mask=easel.numbers() if mask else None,
            intrinsics=intrinsics(camera, *self._size),
            extrinsics=at,
            renderer=self.name,
        )

    def _draw_behind(self, view: Vector, frames: Floats) -> None:
        """Draw static things again if they or the camera have moved."""
        still = frames[self._still.numbers].tobytes()
        if still != self._drawn_still:
            casters = self._still.corners(frames)[8:]  # except the floor
            self._maps[0].draw(self._programs.depth, self._still, casters, self._to_light)
            self._drawn_still, self._drawn_behind = still, b""
        if view.tobytes() == self._drawn_behind:
            return
        self._maps[1].draw(self._programs.depth, None, np.zeros((0, 3)), self._to_light)
        self._behind.use()
        red, green, blue = np.sqrt(SKY).tolist()
        self._behind.clear(red, green, blue, 1.0, depth=1.0)
        self._shade(view)
        self._gl.depth_func = "<"
        self._still.shaded.render()
        self._drawn_behind = view.tobytes()

    def _shade(self, view: Vector) -> None:
        """Set everything that the shading depends on."""
        self._gl.enable_only(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        self._gl.front_face, self._gl.cull_face = "cw", "back"  # pictures have their first row at the top
        program = self._programs.scene
        for name, matrix in (
            ("view", view),
            ("still_shadow", self._maps[0].lookup),
            ("moving_shadow", self._maps[1].lookup),
        ):
            _set(program, name, matrix)
        program["to_light"] = tuple(self._to_light.tolist())
        program["intensity"], program["ambient"] = self._light.intensity, self._light.ambient
        for unit, shadow in enumerate(self._maps):
            shadow.texture.use(unit)

    def _darken(self, canvas: moderngl.Framebuffer, view: Vector, corners: Vector) -> None:
        """Redraw static things where shadows of moving ones may fall: on the floor, and on other things."""
        box = _seen_box(view, _on_the_floor(corners, self._to_light), self._size)
        self._programs.scene["redraw"] = True
        self._gl.depth_func = "<="
        if box is not None:
            canvas.scissor = box
            self._still.shaded.render(vertices=6)
            canvas.scissor = 0, 0, *self._size
        self._still.shaded.render(first=6)
        self._programs.scene["redraw"] = False


class _Easel:
    """The target of one picture, until it is fetched."""

    def __init__(self, gl: moderngl.Context, size: tuple[int, int]) -> None:
        self._gl, self._size = gl, size
        self.canvas = _target(gl, size)

    @cached_property
    def masked(self) -> moderngl.Framebuffer:
        """The target of the pieces' numbers."""
        numbers = self._gl.renderbuffer(self._size, 1, dtype="f4")
        return self._gl.framebuffer([numbers], self._gl.depth_renderbuffer(self._size))

    def colours(self) -> Pixels:
        """Return (H, W, 3)."""
        width, height = self._size
        found = np.empty((height, width, 3), np.uint8)
        self.canvas.read_into(found, components=3, alignment=1)
        return found

    def depth(self, camera: Camera) -> Floats:
        """Return (H, W), m."""
        found = self._floats(self.canvas, attachment=-1)
        near, far = camera.near_m, camera.far_m
        with np.errstate(divide="ignore"):
            metres = near * far / (far - (far - near) * found.astype(np.float64))
        return np.where(found < 1.0, metres, np.inf).astype(np.float32)

    def numbers(self) -> NDArray[np.uint16]:
        """Return (H, W), the pieces' numbers plus one."""
        return self._floats(self.masked).astype(np.uint16)

    def release(self) -> None:
        """Free it."""
        self.canvas.release()
        if "masked" in self.__dict__:
            self.masked.release()

    def _floats(self, target: moderngl.Framebuffer, attachment: int = 0) -> Floats:
        width, height = self._size
        found = np.empty((height, width), np.float32)
        target.read_into(found, components=1, attachment=attachment, dtype="f4")
        return found


class _Group:
    """The pieces that move, or those that do not, in one buffer."""

    def __init__(self, gl: moderngl.Context, render_scene: RenderScene, *, moves: bool) -> None:
        self.numbers = [index for index, piece in enumerate(render_scene.pieces) if piece.moves is moves]
        meshes = [render_scene.pieces[index].mesh for index in self.numbers]
        self._boxes = np.array([_box(mesh) for mesh in meshes]).reshape(-1, 8, 3)
        made = programs(gl)
        shown = _Buffer(gl, meshes, self.numbers)
        casters = _Buffer(gl, [render_scene.pieces[index].caster for index in self.numbers], self.numbers)
        self.shaded = shown.array(made.scene, "3f 3f 3f 1u", "position", "normal", "colour", "piece")
        self.numbered = shown.array(made.mask, "3f 24x 1u", "position", "piece")
        self.depth = casters.array(made.depth, "3f 24x 1u", "position", "piece")
        self._held = self.shaded, self.numbered, self.depth, shown, casters

    def corners(self, frames: Floats) -> Vector:
        """Return the corners (8 n, 3) of the pieces' boxes in the room."""
        own = frames[self.numbers].astype(np.float64)
        return (self._boxes @ own[:, :3, :3].transpose(0, 2, 1) + own[:, None, :3, 3]).reshape(-1, 3)

    def release(self) -> None:
        """Free the buffers."""
        for thing in self._held:
            thing.release()


class _Buffer:
    """Meshes on the graphics device; each vertex knows its piece."""

    def __init__(self, gl: moderngl.Context, meshes: Sequence[Mesh], numbers: Sequence[int]) -> None:
        self._gl = gl
        whole = joined(meshes)
        piece = np.repeat(np.array(numbers, np.uint32), [len(mesh.positions) for mesh in meshes])
        vertices = np.hstack([whole.positions, whole.normals, whole.colours, piece.view(np.float32)[:, None]])
        # A buffer cannot be empty: if there is nothing to draw, it holds one point, which draws nothing.
        self._vertices = gl.buffer(np.ascontiguousarray(vertices if len(vertices) else np.zeros((1, 10), np.float32)))
        self._indices = gl.buffer(whole.triangles if len(whole.triangles) else np.zeros((1, 3), np.int32))

    def array(self, program: moderngl.Program, layout: str, *names: str) -> moderngl.VertexArray:
        """Return what draws the meshes with `program`."""
        return self._gl.vertex_array(program, [(self._vertices, layout, *names)], self._indices)

    def release(self) -> None:
        """Free it."""
        self._vertices.release()
        self._indices.release()


class _ShadowMap:
    """How far from the light the nearest thing is, along the light, around the things that cast shadows."""

    def __init__(self, gl: moderngl.Context, height: int) -> None:
        self._gl = gl
        texels = next((texels for pixels, texels in _TEXELS if height <= pixels), _FINE_TEXELS)
        self._margin = 1.0 + 8.0 / texels  # nothing is at its edge
        self.texture = gl.depth_texture((texels, texels))
        self.texture.compare_func = "<="
        self.texture.repeat_x = self.texture.repeat_y = False
        self._target = gl.framebuffer(depth_attachment=self.texture)
        self.lookup: Vector = np.eye(4)
        """(4, 4): from the room to the texture and its depth."""

    def draw(self, program: moderngl.Program, group: _Group | None, corners: Vector, to_light: Vector) -> None:
        """Draw `group`, whose casters are within `corners` (n, 3); without corners, there is no shadow."""
        self._target.use()
        self._target.clear(depth=1.0)
        if group is None or not len(corners):
            return
        view = _along(to_light, corners, self._margin)
        self.lookup = _HALVED @ view
        _set(program, "view", view)
        self._gl.enable_only(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        self._gl.depth_func, self._gl.front_face, self._gl.cull_face = "<", "ccw", "front"
        group.depth.render()

    def release(self) -> None:
        """Free the texture."""
        self._target.release()
        self.texture.release()


@dataclass(frozen=True, slots=True)
class _Programs:
    scene: moderngl.Program
    depth: moderngl.Program
    mask: moderngl.Program


def context() -> moderngl.Context:
    """Return this thread's context, made through EGL without a window; raise NoOpenGlError."""
    if (gl := getattr(_here, "gl", None)) is None:
        gl = _here.gl = _opened()
    return gl


def _opened() -> moderngl.Context:
    os.environ.setdefault("LP_NUM_THREADS", str(max((os.cpu_count() or 1) - 1, 1)))  # one core prepares triangles
    try:
        gl = moderngl.create_context(
            standalone=True,
            require=330,
            backend="egl",  # type: ignore[arg-type]  # typed as if it had to hold all settings
        )
    except Exception as error:  # the library raises bare exceptions
        needed = "on Debian: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri"
        raise NoOpenGlError(f"OpenGL 3.3 through EGL cannot be had ({error}); {needed}") from error
    return gl


def name(gl: moderngl.Context) -> str:
    """Return the program that draws, as every picture says it."""
    return f"OpenGL, {gl.info['GL_RENDERER']}"


@cache
def programs(gl: moderngl.Context) -> _Programs:
    """Return the compiled shaders."""
    made = _Programs(
        gl.program(SCENE_VERTEX, SCENE_FRAGMENT),
        gl.program(DEPTH_VERTEX, DEPTH_FRAGMENT),
        gl.program(MASK_VERTEX, MASK_FRAGMENT),
    )
    made.scene["sky"], made.scene["fade"] = SKY, _FADE_M
    made.scene["still_map"], made.scene["moving_map"] = 0, 1
    return made


def _set(program: moderngl.Program, name: str, matrix: Vector) -> None:
    uniform = program[name]
    if isinstance(uniform, moderngl.Uniform):  # by columns, as OpenGL has matrices
        uniform.write(np.ascontiguousarray(matrix.T, np.float32))


def _target(gl: moderngl.Context, size: tuple[int, int]) -> moderngl.Framebuffer:
    return gl.framebuffer([gl.renderbuffer(size)], gl.depth_renderbuffer(size))


def _box(mesh: Mesh) -> Vector:
    ends = np.array((mesh.positions.min(axis=0), mesh.positions.max(axis=0)), np.float64)
    return np.array([(ends[i, 0], ends[j, 1], ends[k, 2]) for i in (0, 1) for j in (0, 1) for k in (0, 1)])


def _projection(camera: Camera, size: tuple[int, int]) -> Vector:
    """Return the matrix (4, 4) from the camera's frame to clip space with y downward, as the rows of a picture go."""
    width, height = size
    near, far = camera.near_m, camera.far_m
    y = 1.0 / np.tan(0.5 * camera.fov_y_rad)
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[1, 1] = y * height / width, y
    matrix[2, 2], matrix[2, 3], matrix[3, 2] = (far + near) / (far - near), -2.0 * far * near / (far - near), 1.0
    return matrix


def _along(to_light: Vector, corners: Vector, margin: float) -> Vector:
    """Return the matrix (4, 4) from the room to a cube that holds `corners` (n, 3), with depth away from the light."""
    side = np.cross((0.0, 1.0, 0.0) if abs(to_light[1]) < 0.9 else (1.0, 0.0, 0.0), to_light)
    side = side / np.linalg.norm(side)
    turn = np.array((side, np.cross(to_light, side), to_light))
    seen = corners @ turn.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    half = np.maximum(0.5 * (high - low), 1e-3) * np.array((margin, margin, 1.01))
    matrix = np.eye(4)
    matrix[:3, :3] = turn / half[:, None]
    matrix[:3, 3] = -0.5 * (high + low) / half
    matrix[2] = -matrix[2]
    matrix[3] = (0.0, 0.0, 0.0, 1.0)
    return matrix


def _on_the_floor(corners: Vector, to_light: Vector) -> Vector:
    """Return where the shadows of `corners` (n, 3) fall on the floor; near the horizon, far away."""
    return corners - np.maximum(corners[:, 2:], 0.0) / max(float(to_light[2]), 0.05) * to_light


def _seen_box(view: Vector, places: Vector, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return the pixels (x, y, width, height) that hold `places` (n, 3); all pixels if some are behind the camera."""
    if not len(places):
        return None
    seen = np.column_stack([places, np.ones(len(places))]) @ view.T
    if (seen[:, 3] < 1e-3).any():
        return 0, 0, *size
    pixels = (seen[:, :2] / seen[:, 3:] * 0.5 + 0.5) * np.array(size)
    low = np.clip(np.floor(pixels.min(axis=0)) - 1.0, 0, size)
    high = np.clip(np.ceil(pixels.max(axis=0)) + 1.0, 0, size)
    if (high <= low).any():
        return None
    x, y, width, height = (int(value) for value in (*low, *(high - low)))
    return x, y, width, height
