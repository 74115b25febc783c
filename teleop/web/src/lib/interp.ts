// Between states: they come at the control rate, the display wants one for each frame.
//
// Played back a little late, on the host's clock as it is seen from here: the offset is the smallest (arrival - host
// time) of late, so a state that the network delayed does not make the picture jump.

import type { State } from './wire'

const KEPT = 32
const OFFSET_WINDOW = 64

interface Stamped {
  hostMs: number
  values: Float32Array
}

export class Playback {
  #states: Stamped[] = []
  #offsets: number[] = []
  readonly #delayMs: number
  readonly #quaternions: readonly number[]

  /** `delayMs` is how late the picture is, one period and a little; `quaternions` say where one begins. */
  constructor(delayMs: number, quaternions: readonly number[] = []) {
    this.#delayMs = delayMs
    this.#quaternions = quaternions
  }

  clear(): void {
    this.#states = []
    this.#offsets = []
  }

  push(state: State, arrivedMs: number): void {
    const hostMs = Number(state.tHostUs) / 1000
    const last = this.#states.at(-1)
    if (last?.hostMs === hostMs) return
    if (last && (hostMs < last.hostMs || last.values.length !== state.values.length)) this.clear()
    this.#states.push({ hostMs, values: state.values })
    this.#offsets.push(arrivedMs - hostMs)
    if (this.#states.length > KEPT) this.#states.shift()
    if (this.#offsets.length > OFFSET_WINDOW) this.#offsets.shift()
  }

  /** The values to draw at `nowMs`, or null before the first state. Quaternions are not of length 1. */
  at(nowMs: number): Float32Array | null {
    const first = this.#states[0]
    const last = this.#states.at(-1)
    if (!first || !last) return null
    const hostMs = nowMs - Math.min(...this.#offsets) - this.#delayMs
    if (hostMs <= first.hostMs) return first.values
    if (hostMs >= last.hostMs) return last.values
    const after = this.#states.findIndex((state) => state.hostMs >= hostMs)
    const [before, behind] = [this.#states[after - 1] ?? first, this.#states[after] ?? last]
    const part = (hostMs - before.hostMs) / (behind.hostMs - before.hostMs)
    return blend(before.values, behind.values, part, this.#quaternions)
  }
}

/** Between two states: each value in proportion, each quaternion (not of length 1) the nearer way round. */
export function blend(before: Float32Array, after: Float32Array, part: number, quaternions: readonly number[]): Float32Array {
  const mix = (i: number, sign: number): number =>
    (before[i] as number) * (1 - part) + sign * part * (after[i] as number)
  const values = before.map((_, i) => mix(i, 1))
  for (const start of quaternions) {
    // q and -q are the same turn.
    const dot = [0, 1, 2, 3].reduce((sum, i) => sum + (before[start + i] as number) * (after[start + i] as number), 0)
    if (dot < 0) for (let i = start; i < start + 4; i++) values[i] = mix(i, -1)
  }
  return values
}
