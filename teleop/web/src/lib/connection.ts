// How good the connection is: round trip, jitter, loss, and how old the newest state is. Each on one clock: the two
// machines' clocks are never compared, only how much later than the fastest a state came.

import type { State } from './wire'

const ECHOES = 20
const STATES = 100
/** RFC 3550, 6.4.1: how much of each new difference goes into the jitter. */
const JITTER_GAIN = 1 / 16

export const FAIR_MS = 100
export const SLOW_MS = 200
export const BAD_MS = 300
/** How fast the robot moves, of what is asked, while the connection is bad. */
export const REDUCED = 0.4

export type Grade = 'good' | 'fair' | 'slow' | 'bad'

export interface Health {
  /** From a command's sending to the state that says it was applied: the median of late. Null before the first. */
  roundTripMs: number | null
  jitterMs: number
  /** The part of the last states that did not come, in [0, 1]. */
  loss: number
  /** Since the newest state came, and how much later than the fastest it was. Null before the first. */
  ageMs: number | null
  grade: Grade
}

export const gradeOf = (ms: number): Grade =>
  ms < FAIR_MS ? 'good' : ms < SLOW_MS ? 'fair' : ms < BAD_MS ? 'slow' : 'bad'

export class Connection {
  #echoed = 0n
  #roundTrips: number[] = []
  /** Of each state of late: its number, and how long it took by two clocks, of which only differences count. */
  #states: { seq: number; transitMs: number }[] = []
  #jitterMs = 0
  #arrivedMs = 0

  take(state: Pick<State, 'seq' | 'tHostUs' | 'tClientUs'>, nowMs: number): void {
    this.#echo(state.tClientUs, nowMs)
    const transitMs = nowMs - Number(state.tHostUs) / 1000
    const last = this.#states.at(-1)
    if (last && state.seq <= last.seq) return
    if (last) this.#jitterMs += (Math.abs(transitMs - last.transitMs) - this.#jitterMs) * JITTER_GAIN
    this.#states.push({ seq: state.seq, transitMs })
    if (this.#states.length > STATES) this.#states.shift()
    this.#arrivedMs = nowMs
  }

  health(nowMs: number): Health {
    const roundTripMs = this.#roundTrips.toSorted((a, b) => a - b)[Math.floor(this.#roundTrips.length / 2)] ?? null
    const [first, last] = [this.#states[0], this.#states.at(-1)]
    const loss = first && last ? 1 - this.#states.length / (last.seq - first.seq + 1) : 0
    const fastestMs = Math.min(...this.#states.map((state) => state.transitMs))
    const ageMs = last ? nowMs - this.#arrivedMs + last.transitMs - fastestMs : null
    const grade = gradeOf(Math.max(roundTripMs ?? 0, ageMs ?? 0))
    return { roundTripMs, jitterMs: this.#jitterMs, loss, ageMs, grade }
  }

  /** Each command counts once. */
  #echo(tClientUs: bigint, nowMs: number): void {
    const sentMs = Number(tClientUs) / 1000
    if (tClientUs === 0n || tClientUs === this.#echoed || sentMs > nowMs) return
    this.#echoed = tClientUs
    this.#roundTrips.push(nowMs - sentMs)
    if (this.#roundTrips.length > ECHOES) this.#roundTrips.shift()
  }
}
