// How good the connection is: round trip, jitter, loss, and how old the newest state is. Each on one clock: the two
// machines' clocks are never compared, only how much later than the fastest a state came.

import type { State } from './wire'

const ECHOES = 20
const STATES = 100
/** RFC 3550, 6.4.1: how much of each new difference goes into the jitter. */
const JITTER_GAIN = 1 / 16
/** After the first answered command: until then the page still loads what it draws, and no state is missed. */
const SETTLE_MS = 2000
/** The loss from which on it is no longer good, and from which on it is slow. A robot is never moved slower for it. */
const FAIR_LOSS = 0.05
const SLOW_LOSS = 0.15

const FAIR_MS = 100
export const SLOW_MS = 200
const BAD_MS = 300
/** How fast the robot moves, of what is asked, while the connection is bad. */
export const REDUCED = 0.4

export type Grade = 'good' | 'fair' | 'slow' | 'bad'

export interface Health {
  /** From a command's sending to the state that says it was applied: the median of the last ones. Null before the first. */
  roundTripMs: number | null
  jitterMs: number
  /** The part of the last states that did not come, in [0, 1]; 0 while the page has only begun. */
  loss: number
  /** Since the newest state came, and how much later than the fastest it was. Null before the first. */
  ageMs: number | null
  grade: Grade
}

export const gradeOf = (ms: number): Grade =>
  ms < FAIR_MS ? 'good' : ms < SLOW_MS ? 'fair' : ms < BAD_MS ? 'slow' : 'bad'

const GRADES: readonly Grade[] = ['good', 'fair', 'slow', 'bad']

const worse = (one: Grade, other: Grade): Grade => (GRADES.indexOf(one) > GRADES.indexOf(other) ? one : other)

export const gradeOfLoss = (loss: number): Grade => (loss < FAIR_LOSS ? 'good' : loss < SLOW_LOSS ? 'fair' : 'slow')

export class Connection {
  #echoed = 0n
  #roundTrips: number[] = []
  /** When the first state came that answers a command. */
  #answeredMs: number | null = null
  /** Of each of the last states: its number, how long it took by two clocks, of which only differences count, and whether it
   * was to be missed. */
  #states: { seq: number; transitMs: number; counted: boolean }[] = []
  #jitterMs = 0
  #arrivedMs = 0

  take(state: Pick<State, 'seq' | 'tHostUs' | 'tClientUs'>, nowMs: number): void {
    this.#echo(state.tClientUs, nowMs)
    const transitMs = nowMs - Number(state.tHostUs) / 1000
    const last = this.#states.at(-1)
    if (last && state.seq <= last.seq) return
    if (last) this.#jitterMs += (Math.abs(transitMs - last.transitMs) - this.#jitterMs) * JITTER_GAIN
    if (state.tClientUs !== 0n) this.#answeredMs ??= nowMs
    const counted = this.#answeredMs !== null && nowMs - this.#answeredMs >= SETTLE_MS
    this.#states.push({ seq: state.seq, transitMs, counted })
    if (this.#states.length > STATES) this.#states.shift()
    this.#arrivedMs = nowMs
  }

  health(nowMs: number): Health {
    const roundTripMs = this.#roundTrips.toSorted((a, b) => a - b)[Math.floor(this.#roundTrips.length / 2)] ?? null
    const last = this.#states.at(-1)
    const loss = this.#loss()
    const fastestMs = Math.min(...this.#states.map((state) => state.transitMs))
    const ageMs = last ? nowMs - this.#arrivedMs + last.transitMs - fastestMs : null
    const grade = worse(gradeOf(Math.max(roundTripMs ?? 0, ageMs ?? 0)), gradeOfLoss(loss))
    return { roundTripMs, jitterMs: this.#jitterMs, loss, ageMs, grade }
  }

  /** Of a hundred, also where fewer have been counted yet: one that is missed at first does not stand for many. */
  #loss(): number {
    const counted = this.#states.filter((state) => state.counted)
    const [first, last] = [counted[0], counted.at(-1)]
    if (!first || !last) return 0
    const expected = last.seq - first.seq + 1
    return (expected - counted.length) / Math.max(expected, STATES)
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
