"""What the graphics device runs, in GLSL 3.30: shading with shadows, depth alone, and the numbers of things.

Light is one distant lamp with shadows and an even one that is a little stronger from above; values are linear, and
their square root, close to the sRGB curve, is what a picture holds.
"""

from typing import Final

PIECES_MAX: Final = 256

_TRANSFORM: Final = f"""
#version 330
layout(std140) uniform Pieces {{ mat4 pieces[{PIECES_MAX}]; }};
"""

SCENE_VERTEX = (
    _TRANSFORM
    + """
uniform mat4 view;
uniform mat4 still_shadow;
uniform mat4 moving_shadow;
uniform vec3 to_light;
uniform float intensity;
uniform float ambient;
const float exposure = 0.72;
in vec3 position;
in vec3 normal;
in vec3 colour;
in uint piece;
out vec3 unlit;
out vec3 lit;
out vec3 in_still;
out vec3 in_moving;
out vec2 ground;
void main() {
    mat4 frame = pieces[piece];
    vec4 place = frame * vec4(position, 1.0);
    vec3 up = normalize(mat3(frame) * normal);
    unlit = exposure * colour * ambient * (0.75 + 0.25 * up.z);
    lit = exposure * colour * intensity * max(dot(up, to_light), 0.0);
    in_still = (still_shadow * place).xyz;
    in_moving = (moving_shadow * place).xyz;
    ground = piece == 0u ? place.xy : vec2(0.0);
    gl_Position = view * place;
}
"""
)

SCENE_FRAGMENT = """
#version 330
uniform sampler2DShadow still_map;
uniform sampler2DShadow moving_map;
uniform bool redraw;
uniform vec3 sky;
uniform vec2 fade;
in vec3 unlit;
in vec3 lit;
in vec3 in_still;
in vec3 in_moving;
in vec2 ground;
out vec4 shown;
void main() {
    float light = texture(moving_map, in_moving);
    if (redraw && light == 1.0) discard;
    light = min(light, texture(still_map, in_still));
    vec3 linear = unlit + light * lit;
    linear = mix(linear, sky, smoothstep(fade.x, fade.y, length(ground)));
    shown = vec4(sqrt(linear), 1.0);
}
"""

DEPTH_VERTEX = (
    _TRANSFORM
    + """
uniform mat4 view;
in vec3 position;
in uint piece;
void main() { gl_Position = view * (pieces[piece] * vec4(position, 1.0)); }
"""
)

DEPTH_FRAGMENT = """
#version 330
void main() {}
"""

MASK_VERTEX = (
    _TRANSFORM
    + """
uniform mat4 view;
in vec3 position;
in uint piece;
flat out float number;
void main() {
    gl_Position = view * (pieces[piece] * vec4(position, 1.0));
    number = float(piece) + 1.0;
}
"""
)

MASK_FRAGMENT = """
#version 330
flat in float number;
out float shown;
void main() { shown = number; }
"""
