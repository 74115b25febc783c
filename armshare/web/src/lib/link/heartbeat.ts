// What an operator's end says for as long as it holds a lease, tick by tick, and at once where something else is wanted:
// the newest intent as a command, or neutral.
//
// Pure: time comes in as an argument. An intent that the page has not renewed for STALL_MS counts as let go: a page that
// hangs must not keep the arm moving. While the connection is bad, the robot is asked to move slower.

import { AXES } from '../hands/bindings'
import { Connection, type Health, REDUCED } from './connection'
import type { Intent } from '../hands/input'
import { type BaseSpeeds, Twist } from '../hands/twist'
import { decodeState, encodeCommand, type State } from './wire'

const STALL_MS = 250
/** Between two commands: together with the ticks, far fewer than what the hub takes for a flood (250 a second). */
const SPACING_MS = 8

export class Heartbeat {
  #epoch: number | null = null
  #seq = 0
  #seen = 0
  #intent: { value: Intent; atMs: number } | null = null
  #tickedMs = 0
  #twist = new Twist()
  #connection = new Connection()

  lease(epoch: number | null, hands = 1, base: BaseSpeeds | null = null): void {
    this.#epoch = epoch
    this.#seq = this.#seen = 0
    this.#intent = null
    this.#twist = new Twist(hands, base)
    this.#connection = new Connection()
  }

  /** The number of the newest command. */
  get seq(): number {
    return this.#seq
  }

  /** Take an intent; returns in how many ms it shall be said, or null where the next tick is soon enough. */
  want(intent: Intent, nowMs: number): number | null {
    const last = this.#intent?.value
    this.#intent = { value: intent, atMs: nowMs }
    if (last && same(last, intent)) return null
    return Math.max(0, this.#tickedMs + SPACING_MS - nowMs)
  }

  /** Start from the openings that are seen. */
  reset(openings: readonly number[]): void {
    this.#twist.reset(openings)
  }

  /** The operator has been shown this state. */
  shown(seq: number): void {
    this.#seen = seq
  }

  hear(data: ArrayBuffer, nowMs: number): State {
    const state = decodeState(data)
    if (state.epoch === this.#epoch) this.#connection.take(state, nowMs)
    return state
  }

  health(nowMs: number): Health {
    return this.#connection.health(nowMs)
  }

  /** The next command; null without a lease. */
  command(nowMs: number): ArrayBuffer | null {
    const elapsedS = Math.min(0.1, (nowMs - this.#tickedMs) / 1000)
    this.#tickedMs = nowMs
    if (this.#epoch === null) return null
    const wanted = this.#intent
    const deadMan = wanted !== null && nowMs - wanted.atMs < STALL_MS && wanted.value.deadMan
    const pace = this.health(nowMs).grade === 'bad' ? REDUCED : 1
    const values = wanted ? this.#twist.step({ ...wanted.value, deadMan }, elapsedS, pace) : []
    this.#seq += 1
    const tClientUs = BigInt(Math.round(nowMs * 1000))
    const head = { epoch: this.#epoch, seq: this.#seq, seen: this.#seen, tClientUs, deadMan }
    return encodeCommand(deadMan ? { ...head, mode: 'ee_twist', values } : { ...head, mode: 'neutral', values: [] })
  }
}

const same = (one: Intent, other: Intent): boolean =>
  one.deadMan === other.deadMan &&
  one.slow === other.slow &&
  one.part === other.part &&
  AXES.every((axis) => one.axes[axis] === other.axes[axis]) &&
  one.grippers.length === other.grippers.length &&
  one.grippers.every((opening, hand) => opening === other.grippers[hand])
