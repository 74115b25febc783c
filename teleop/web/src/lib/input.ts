// What the operator asks for: keys and pads become an Intent, the wanted motion on each axis in [-1, 1].
//
// Pure: time comes in as an argument. The dead-man is held while a motion key or pad is, and, for the gripper, until
// it has got where it was sent or stops getting nearer.

export type Axis = 'x' | 'y' | 'z' | 'roll' | 'pitch' | 'yaw'
export type Order = 'part1' | 'part2' | 'part3' | 'gripper' | 'finish' | 'estop' | 'view' | 'help'
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

export interface Key {
  label: string
  axis: Axis
  sign: 1 | -1
}

/** By `KeyboardEvent.code`, so that every keyboard layout has the same shape under the hand. */
export const MOTION_KEYS: Record<string, Key> = {
  KeyW: { label: 'W', axis: 'x', sign: 1 },
  KeyS: { label: 'S', axis: 'x', sign: -1 },
  KeyA: { label: 'A', axis: 'y', sign: 1 },
  KeyD: { label: 'D', axis: 'y', sign: -1 },
  KeyR: { label: 'R', axis: 'z', sign: 1 },
  KeyF: { label: 'F', axis: 'z', sign: -1 },
  KeyE: { label: 'E', axis: 'z', sign: 1 },
  KeyQ: { label: 'Q', axis: 'z', sign: -1 },
  ArrowUp: { label: '↑', axis: 'pitch', sign: 1 },
  ArrowDown: { label: '↓', axis: 'pitch', sign: -1 },
  ArrowLeft: { label: '←', axis: 'yaw', sign: 1 },
  ArrowRight: { label: '→', axis: 'yaw', sign: -1 },
  KeyZ: { label: 'Z', axis: 'roll', sign: -1 },
  KeyX: { label: 'X', axis: 'roll', sign: 1 },
}

/** The axes that a mobile base has: forward, and turning. */
export const BASE_AXES: ReadonlySet<Axis> = new Set<Axis>(['x', 'y', 'yaw'])

export const ORDER_KEYS: Record<string, Order> = {
  Space: 'gripper',
  Enter: 'finish',
  NumpadEnter: 'finish',
  Escape: 'estop',
  Digit1: 'part1',
  Digit2: 'part2',
  Digit3: 'part3',
  KeyC: 'view',
  KeyH: 'help',
}

const SLOW_KEYS = new Set(['ShiftLeft', 'ShiftRight'])

const GRIPPER_HOLD_MS = 400
const GRIPPER_HOLD_MAX_MS = 2500
const GRIPPER_STALL_MS = 250
const GRIPPER_NEARER = 0.005
const GRIPPER_THERE = 0.03

export const still = (): Axes => ({ x: 0, y: 0, z: 0, roll: 0, pitch: 0, yaw: 0 })

export class Input {
  slow = false
  part = 0
  grippers = [1]
  readonly #codes = new Set<string>()
  readonly #pads = new Map<string, Partial<Axes>>()
  #grip: { hand: number; sinceMs: number; nearestMs: number; gap: number } | null = null

  /** Take a key; returns whether it is one of ours. */
  press(code: string): boolean {
    if (SLOW_KEYS.has(code)) this.slow = true
    else if (code in MOTION_KEYS) this.#codes.add(code)
    else return false
    return true
  }

  release(code: string): boolean {
    if (SLOW_KEYS.has(code)) this.slow = false
    return this.#codes.delete(code) || SLOW_KEYS.has(code)
  }

  /** A pad on the screen: each axis in [-1, 1]; null lets go. */
  pad(name: string, axes: Partial<Axes> | null): void {
    if (axes) this.#pads.set(name, axes)
    else this.#pads.delete(name)
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
    this.#codes.clear()
    this.#pads.clear()
    this.slow = false
    this.#grip = null
  }

  /** Which keys are down, for the picture of the keyboard. */
  held(): ReadonlySet<string> {
    return this.#codes
  }

  intent(nowMs: number, openings: ArrayLike<number> | null): Intent {
    const axes = this.#axes()
    const moving = Object.values(axes).some((value) => value !== 0)
    const pressed = this.#codes.size > 0 || this.#pads.size > 0
    return {
      axes,
      slow: this.slow,
      part: this.part,
      grippers: this.grippers,
      deadMan: moving || pressed || this.#gripping(nowMs, openings),
    }
  }

  #axes(): Axes {
    const axes = still()
    for (const code of this.#codes) {
      const key = MOTION_KEYS[code]
      if (key) axes[key.axis] += key.sign
    }
    for (const pad of this.#pads.values())
      for (const [axis, value] of Object.entries(pad) as [Axis, number][]) axes[axis] += value
    for (const axis of Object.keys(axes) as Axis[]) axes[axis] = Math.min(1, Math.max(-1, axes[axis]))
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
