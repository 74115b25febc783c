// Between states: they come at the control rate, the display wants one for each frame.
//
// The picture sets out for each state in the first frame after it came, from whatever it then shows, and arrives within
// one ramp: a straight line in time, so that it never overshoots, never jumps, and goes on evenly where states come
// evenly. The ramp is a little longer than a period: at 20 Hz states whose delay varies by 8 ms (one sigma) are drawn
// with 9 % of ripple in their speed, and 13 % where it is a period. Each millisecond more is one of delay.

import type { State } from '../link/wire'

const RAMP_PERIODS = 1.1

export class Playback {
  readonly #rampMs: number
  readonly #quaternions: readonly number[]
  #newest: { hostUs: bigint; values: Float32Array; dueMs: number } | null = null
  #shown: Float32Array | null = null
  #shownMs = 0

  /** States come each `periodMs`; `quaternions` say where one begins. */
  constructor(periodMs: number, quaternions: readonly number[] = []) {
    this.#rampMs = RAMP_PERIODS * periodMs
    this.#quaternions = quaternions
  }

  /** The next state is drawn at once: what it shows has nothing to do with what was. */
  clear(): void {
    this.#newest = this.#shown = null
  }

  push(state: Pick<State, 'tHostUs' | 'values'>, arrivedMs: number): void {
    const last = this.#newest
    if (last?.hostUs === state.tHostUs) return
    if (last && (state.tHostUs < last.hostUs || last.values.length !== state.values.length)) this.clear()
    this.#newest = { hostUs: state.tHostUs, values: state.values, dueMs: arrivedMs + this.#rampMs }
  }

  /** The values to draw at `nowMs`, or null before the first state. Quaternions are not of length 1. */
  at(nowMs: number): Float32Array | null {
    const newest = this.#newest
    if (!newest) return null
    const left = newest.dueMs - this.#shownMs
    if (!this.#shown || nowMs >= newest.dueMs) this.#shown = newest.values
    else if (nowMs > this.#shownMs)
      this.#shown = blend(this.#shown, newest.values, (nowMs - this.#shownMs) / left, this.#quaternions)
    this.#shownMs = nowMs
    return this.#shown
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
