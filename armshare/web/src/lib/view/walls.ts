// The walls of a hand's workspace: not seen, until the hand touches one; then that one lights up around the hand.

import { BoxGeometry, Color, DoubleSide, Mesh, ShaderMaterial, Vector3 } from 'three'
import type { Motion } from '../hands/bindings'
import type { EndEffector } from '../link/descriptor'
import { Fade } from './fade'

const NEAR_M = 0.01
/** From here on the wall holds the hand: its target is at it, and the hand a little behind. */
const REACHED_M = 0.004
const FADE_MS = 180
const AXES = ['x', 'y', 'z'] as const

/** One wall: across an axis, at its lower or upper end. */
export interface Wall {
  axis: 0 | 1 | 2
  upper: boolean
}

const WALLS: readonly Wall[] = ([0, 1, 2] as const).flatMap((axis) => [
  { axis, upper: false },
  { axis, upper: true },
])

type Box = Pick<EndEffector, 'workspace_lower_m' | 'workspace_upper_m'>

/** The walls within 1 cm of a hand (or `nearM`); where the workspace holds it (`held`), at least the nearest one. */
export function touched(box: Box, hand: readonly [number, number, number], held: boolean, nearM = NEAR_M): Wall[] {
  const away = ({ axis, upper }: Wall) =>
    upper ? box.workspace_upper_m[axis] - hand[axis] : hand[axis] - box.workspace_lower_m[axis]
  const near = WALLS.filter((wall) => away(wall) < nearM)
  if (near.length > 0 || !held) return near
  return [WALLS.reduce((nearest, wall) => (away(wall) < away(nearest) ? wall : nearest))]
}

/** The wall's name, which is the motion that it holds back. */
export const nameOf = ({ axis, upper }: Wall): Motion => `${AXES[axis]}${upper ? '+' : '-'}`

const VERTEX = `
  varying vec3 at, facing;
  uniform vec3 middle;
  void main() {
    at = position + middle;
    facing = normal;
    gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  }`

/** A glow around the hand, and a grid of 5 cm that shows that it is a wall. */
const FRAGMENT = `
  varying vec3 at, facing;
  uniform vec3 colour, hand, lower, upper;
  void main() {
    float strength = dot(max(facing, 0.0), upper) + dot(max(-facing, 0.0), lower);
    if (strength < 0.01) discard;
    vec3 away = (at - hand) / 0.16;
    float glow = exp(-dot(away, away));
    vec3 cell = at / 0.05;
    vec3 off = abs(fract(cell - 0.5) - 0.5) / max(fwidth(cell), 1e-4);
    vec3 apart = mix(off, vec3(1.0), step(0.5, abs(facing)));
    float line = 1.0 - min(min(min(apart.x, apart.y), apart.z), 1.0);
    gl_FragColor = vec4(colour, strength * (0.05 + glow * (0.3 + 0.35 * line)));
    #include <colorspace_fragment>
  }`

export class Walls {
  readonly mesh: Mesh<BoxGeometry, ShaderMaterial>
  /** The names of those that the hand touches, as `x+`. */
  touched: readonly string[] = []
  /** The motions that they hold back. */
  reached: readonly Motion[] = []
  readonly #box: Box
  readonly #fades = WALLS.map(() => new Fade(FADE_MS))
  readonly #uniforms = {
    colour: { value: new Color() },
    middle: { value: new Vector3() },
    hand: { value: new Vector3() },
    lower: { value: new Vector3() },
    upper: { value: new Vector3() },
  }

  constructor(box: Box) {
    this.#box = box
    const [lower, upper] = [new Vector3(...box.workspace_lower_m), new Vector3(...box.workspace_upper_m)]
    const size = upper.clone().sub(lower)
    this.#uniforms.middle.value.addVectors(lower, upper).multiplyScalar(0.5)
    const shown = { transparent: true, depthWrite: false, side: DoubleSide, uniforms: this.#uniforms }
    const material = new ShaderMaterial({ vertexShader: VERTEX, fragmentShader: FRAGMENT, ...shown })
    this.mesh = new Mesh(new BoxGeometry(...size.toArray()), material)
    this.mesh.position.copy(this.#uniforms.middle.value)
    this.mesh.visible = false
  }

  paint(colour: string): void {
    this.#uniforms.colour.value.set(colour)
  }

  /** One frame: where the hand is, in the workspace's frame. Returns whether the picture changed. */
  step(hand: Vector3, held: boolean, nowMs: number): boolean {
    const touching = touched(this.#box, hand.toArray(), held).map(nameOf)
    this.touched = touching
    this.reached = touched(this.#box, hand.toArray(), false, REACHED_M).map(nameOf)
    const { lower, upper } = this.#uniforms
    const changed = WALLS.map((wall, i) => {
      const fade = this.#fades[i] as Fade
      const stepped = fade.step(touching.includes(nameOf(wall)) ? 1 : 0, nowMs)
      ;(wall.upper ? upper : lower).value.setComponent(wall.axis, fade.value)
      return stepped
    }).includes(true)
    this.#uniforms.hand.value.copy(hand)
    this.mesh.visible = this.#fades.some((fade) => fade.value > 0)
    return changed
  }
}
