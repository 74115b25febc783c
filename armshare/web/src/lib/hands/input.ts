// What the operator asks for: keys and every other device become an Intent, the wanted motion on each axis in [-1, 1].
//
// Pure: time comes in as an argument. The dead-man is held while a motion key or a device is, and, for the gripper,
// until it has got where it was sent or stops getting nearer.

import { type Action, actionOf, AXES, type Axis, KEYS, motionOf } from './bindings'

export type Axes = Record<Axis, number>

export interface Intent {
  axes: Axes
  slow: boolean
  /** What the axes move: a hand, by number, or one more for the base. */
  part: number
  /** The openings to move to, of each hand: 0 closed, 1 open. */
  grippers: number[]
  deadMan: boolean
}

/** The axes that a mobile base has: forward, and turning. */
export const BASE_AXES: ReadonlySet<Axis> = new Set<Axis>(['x', 'y', 'yaw'])

const GRIPPER_HOLD_MS = 400
const GRIPPER_HOLD_MAX_MS = 2500
const GRIPPER_STALL_MS = 250
const GRIPPER_NEARER = 0.005
const GRIPPER_THERE = 0.03

export const still = (): Axes => ({ x: 0, y: 0, z: 0, roll: 0, pitch: 0, yaw: 0 })

export class Input {
  part = 0
  grippers = [1]
  readonly #actionOf: (code: string) => Action | undefined
  /** The keys that are down, with what each did when it went down. */
  readonly #keys = new Map<string, Action>()
  readonly #devices = new Map<string, { axes: Partial<Axes>; slow: boolean }>()
  /** Devices that are still held although everything was let go of: they must be let go of first. */
  readonly #spent = new Set<string>()
  #grip: { hand: number; sinceMs: number; nearestMs: number; gap: number } | null = null

  constructor(actionOfKey = (code: string) => actionOf(KEYS, code)) {
    this.#actionOf = actionOfKey
  }

  get slow(): boolean {
    return [...this.#keys.values()].includes('slow') || [...this.#devices.values()].some((device) => device.slow)
  }

  /** Take a key; returns whether it is one of ours. */
  press(code: string): boolean {
    const action = this.#actionOf(code)
    if (!action || !(action === 'slow' || motionOf(action))) return false
    this.#keys.set(code, action)
    return true
  }

  release(code: string): boolean {
    return this.#keys.delete(code)
  }

  /** A pad on the screen, a gamepad, a dragged hand...: each axis in [-1, 1]; null lets go. */
  hold(device: string, axes: Partial<Axes> | null, slow = false): void {
    if (!axes) {
      this.#devices.delete(device)
      this.#spent.delete(device)
    } else if (!this.#spent.has(device)) this.#devices.set(device, { axes, slow })
  }

  /** Move another hand, or the base, from now on; what is held is let go. */
  choose(part: number): void {
    if (part === this.part) return
    this.neutral()
    this.part = part
  }

  /** Send the chosen hand's gripper to its other end; the base has none. */
  toggleGripper(nowMs: number): void {
    const opening = this.grippers[this.part]
    if (opening === undefined) return
    this.grippers = this.grippers.with(this.part, opening > 0.5 ? 0 : 1)
    this.#grip = { hand: this.part, sinceMs: nowMs, nearestMs: nowMs, gap: Infinity }
  }

  /** Before an episode: want what is seen, so that the first motion does not move the grippers. */
  adoptGrippers(openings: ArrayLike<number>): void {
    this.grippers = Array.from(openings, (opening) => (opening > 0.5 ? 1 : 0))
    this.#grip = null
  }

  /** Let go of everything: the page lost the focus, or the episode is over. */
  neutral(): void {
    this.#keys.clear()
    for (const device of this.#devices.keys()) this.#spent.add(device)
    this.#devices.clear()
    this.#grip = null
  }

  /** Which keys are down, for the picture of the keyboard. */
  held(): ReadonlySet<string> {
    return new Set(this.#keys.keys())
  }

  intent(nowMs: number, openings: ArrayLike<number> | null): Intent {
    const axes = this.#axes()
    const pressed = [...this.#keys.values()].some((action) => action !== 'slow') || this.#devices.size > 0
    return {
      axes,
      slow: this.slow,
      part: this.part,
      grippers: this.grippers,
      deadMan: pressed || this.#gripping(nowMs, openings),
    }
  }

  #axes(): Axes {
    const axes = still()
    for (const action of this.#keys.values()) {
      const [axis, sign] = motionOf(action) ?? []
      if (axis && sign) axes[axis] += sign
    }
    for (const device of this.#devices.values()) for (const axis of AXES) axes[axis] += device.axes[axis] ?? 0
    for (const axis of AXES) axes[axis] = Math.min(1, Math.max(-1, axes[axis]))
    return axes
  }

  #gripping(nowMs: number, openings: ArrayLike<number> | null): boolean {
    const grip = this.#grip
    if (!grip) return false
    const [opening, wanted] = [openings?.[grip.hand], this.grippers[grip.hand]]
    const gap = opening === undefined || wanted === undefined ? 0 : Math.abs(opening - wanted)
    if (gap < grip.gap - GRIPPER_NEARER) this.#grip = { ...grip, gap, nearestMs: nowMs }
    const [age, stall] = [nowMs - grip.sinceMs, nowMs - (this.#grip?.nearestMs ?? nowMs)]
    if (age < GRIPPER_HOLD_MS) return true
    if (gap > GRIPPER_THERE && stall < GRIPPER_STALL_MS && age < GRIPPER_HOLD_MAX_MS) return true
    this.#grip = null
    return false
  }
}
