// From an Intent to a command's values: speeds that ramp up smoothly and openings that slew.

import { AXES, type Axis } from './bindings'
import { still, type Axes, type Intent } from './input'

export const LINEAR_MAX_M_S = 0.25
export const ANGULAR_MAX_RAD_S = 1.0
const SLOW = 0.3
const RAMP_S = 0.2
const OPENING_PER_S = 4

const maxOf = (axis: Axis): number => (AXES.indexOf(axis) < 3 ? LINEAR_MAX_M_S : ANGULAR_MAX_RAD_S)

/** How fast a mobile base may be. */
export interface BaseSpeeds {
  forwardMS: number
  turnRadS: number
}

export class Twist {
  readonly #base: BaseSpeeds | null
  #hands: Axes[]
  #wheels = { forward: 0, turn: 0 }
  #openings: number[] | null = null

  constructor(hands = 1, base: BaseSpeeds | null = null) {
    this.#hands = Array.from({ length: hands }, still)
    this.#base = base
  }

  /** Start from the openings that are seen. */
  reset(openings: readonly number[]): void {
    this.#hands = this.#hands.map(still)
    this.#wheels = { forward: 0, turn: 0 }
    this.#openings = [...openings]
  }

  /**
   * One tick: for each hand vx vy vz m/s, wx wy wz rad/s and the opening; then the base's forward m/s and turn rad/s.
   * Without the dead-man all speeds are zero at once. `pace` is the part of the speed that is allowed, in [0, 1].
   */
  step(intent: Intent, elapsedS: number, pace = 1): number[] {
    const slowed = pace * (intent.slow ? SLOW : 1)
    const openings = this.#hands.map((_, hand) => this.#slew(intent, hand, elapsedS))
    this.#openings = openings
    const arms = this.#hands.flatMap((speeds, hand) => {
      const target = hand === intent.part ? wanted(intent.axes, slowed) : still()
      for (const axis of AXES) {
        const most = (maxOf(axis) * elapsedS) / RAMP_S
        speeds[axis] = intent.deadMan ? approach(speeds[axis], target[axis], most) : 0
      }
      return [...AXES.map((axis) => speeds[axis]), openings[hand] as number]
    })
    return this.#base ? [...arms, ...this.#drive(this.#base, intent, elapsedS, slowed)] : arms
  }

  #slew(intent: Intent, hand: number, elapsedS: number): number {
    const to = intent.grippers[hand] ?? 1
    const from = this.#openings?.[hand] ?? to
    return intent.deadMan ? approach(from, to, OPENING_PER_S * elapsedS) : from
  }

  #drive(base: BaseSpeeds, intent: Intent, elapsedS: number, pace: number): [number, number] {
    const drives = intent.deadMan && intent.part === this.#hands.length
    const { x, y, yaw } = intent.axes
    const to = drives ? { forward: x * pace * base.forwardMS, turn: clamp(y + yaw) * pace * base.turnRadS } : null
    const part = elapsedS / (2 * RAMP_S)
    this.#wheels.forward = intent.deadMan ? approach(this.#wheels.forward, to?.forward ?? 0, base.forwardMS * part) : 0
    this.#wheels.turn = intent.deadMan ? approach(this.#wheels.turn, to?.turn ?? 0, base.turnRadS * part) : 0
    return [this.#wheels.forward, this.#wheels.turn]
  }
}

/** The wanted speeds; a diagonal is no faster than an axis. */
function wanted(axes: Axes, pace: number): Axes {
  const linear = pace / Math.max(1, Math.hypot(axes.x, axes.y, axes.z))
  const angular = pace / Math.max(1, Math.hypot(axes.roll, axes.pitch, axes.yaw))
  const speeds = still()
  for (const axis of AXES) speeds[axis] = axes[axis] * maxOf(axis) * (AXES.indexOf(axis) < 3 ? linear : angular)
  return speeds
}

const approach = (from: number, to: number, most: number): number => from + Math.min(most, Math.max(-most, to - from))
const clamp = (value: number): number => Math.min(1, Math.max(-1, value))
