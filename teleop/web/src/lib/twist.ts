// From an Intent to a command's values: speeds that ramp up smoothly and an opening that slews.

import { still, type Axes, type Axis, type Intent } from './input'

export const LINEAR_MAX_M_S = 0.25
export const ANGULAR_MAX_RAD_S = 1.0
const SLOW = 0.3
const RAMP_S = 0.2
const OPENING_PER_S = 4

const ORDER: readonly Axis[] = ['x', 'y', 'z', 'roll', 'pitch', 'yaw']
const maxOf = (axis: Axis): number => (ORDER.indexOf(axis) < 3 ? LINEAR_MAX_M_S : ANGULAR_MAX_RAD_S)

export class Twist {
  #speeds: Axes = still()
  #opening: number | null = null

  /** Start from the opening that is seen. */
  reset(opening: number): void {
    this.#speeds = still()
    this.#opening = opening
  }

  /** One tick: (7,) vx vy vz m/s, wx wy wz rad/s, opening. Without the dead-man all speeds are zero at once. */
  step(intent: Intent, elapsedS: number): number[] {
    const target = intent.deadMan ? wanted(intent) : still()
    for (const axis of ORDER) {
      const most = (maxOf(axis) * elapsedS) / RAMP_S
      this.#speeds[axis] = intent.deadMan ? approach(this.#speeds[axis], target[axis], most) : 0
    }
    const from = this.#opening ?? intent.gripper
    this.#opening = intent.deadMan ? approach(from, intent.gripper, OPENING_PER_S * elapsedS) : from
    return [...ORDER.map((axis) => this.#speeds[axis]), this.#opening]
  }
}

/** The wanted speeds; a diagonal is no faster than an axis. */
function wanted(intent: Intent): Axes {
  const { axes } = intent
  const pace = intent.slow ? SLOW : 1
  const linear = pace / Math.max(1, Math.hypot(axes.x, axes.y, axes.z))
  const angular = pace / Math.max(1, Math.hypot(axes.roll, axes.pitch, axes.yaw))
  const speeds = still()
  for (const axis of ORDER) speeds[axis] = axes[axis] * maxOf(axis) * (ORDER.indexOf(axis) < 3 ? linear : angular)
  return speeds
}

const approach = (from: number, to: number, most: number): number => from + Math.min(most, Math.max(-most, to - from))
