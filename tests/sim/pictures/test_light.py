"""A picture's light is the room's own, or the one that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from sim.pictures.gl import GlRenderer
from sim.pictures.light import UnknownLightError, lit
from sim.pictures.render import render_scene_of
from sim.pictures.tiny import TinyRenderer
from sim.scene import Light
from tests.sim.pictures.test_render import driven

SEED = 5


@pytest.fixture(scope="module")
def seen():
    return driven("panda", "reach", 1)


def drawn(made, seen, light):
    render_scene = render_scene_of("panda", "reach", SEED, 120, light)
    renderer, camera = made(render_scene, 160, 120), render_scene.camera("front")
    row = {name: array[:1] for name, array in seen.items()}
    picture = renderer.draw(camera, render_scene.camera_frames(camera, row)[0], render_scene.frames(row)[0])
    renderer.close()
    return picture.rgb.astype(np.float64)


@pytest.mark.parametrize("made", [GlRenderer, TinyRenderer])
def test_a_room_is_darker_in_dim_light_and_lighter_in_bright_light(made, seen):
    dim, room, bright = (drawn(made, seen, light).mean() for light in ("dim", "room", "bright"))
    assert dim < 0.9 * room < room < bright


def test_light_from_another_side_throws_other_shadows(seen):
    left, right = (drawn(GlRenderer, seen, (0.0, y, -1.0)) for y in (1.0, -1.0))
    assert (np.abs(left - right).max(axis=2) > 30).sum() > 100


def test_the_rooms_own_light_is_as_its_seed_says():
    scenes = [render_scene_of("panda", "reach", seed, 120).scene for seed in (1, 2)]
    assert scenes[0].light != scenes[1].light
    assert lit(scenes[0].light, "room") == scenes[0].light


@pytest.mark.parametrize(
    ("light", "said"),
    [
        ("disco", "no light 'disco'. There are room, bright and dim"),
        ((0.0, 0.0, 1.0), "Z below 0"),
        ((float("nan"), 0.0, -1.0), "Z below 0"),
        ((1.0, -1.0), "Z below 0"),
    ],
)
def test_a_light_that_there_is_not_is_refused_by_name(light, said):
    with pytest.raises(UnknownLightError, match=said):
        lit(Light(), light)
