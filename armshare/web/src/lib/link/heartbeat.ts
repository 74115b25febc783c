// What an operator's end says for as long as it holds a lease, tick by tick, and at once when something else is wanted:
// the newest intent as a command, or neutral.
//
// Pure: time comes in as an argument. An intent that the page has not renewed for STALL_MS counts as let go: a page that
// hangs must not keep the arm moving. Nor does anyone drive blind: without a new state for BLIND_MS the robot is let go,
// and moves again only once the operator has let go as well. While the connection is bad, it is asked to move slower. Once
// a state says that the robot obeyed a command that was not sent from here, it is let go for good.

import { AXES } from '../hands/bindings'
import { Chain, type Links } from './chain'
import { Connection, type Health, REDUCED } from './connection'
import type { Intent } from '../hands/input'
import { type BaseSpeeds, Twist } from '../hands/twist'
import { decodeState, encodeCommand, type State } from './wire'

const STALL_MS = 250
/** Less than after what the host lets go by itself: 500 ms without a newer `seen`. */
const BLIND_MS = 300
/** Between two commands: together with the ticks, far fewer than what the hub takes for a flood (250 a second). */
const SPACING_MS = 8

export class Heartbeat {
  #epoch: number | null = null
  #chain = new Chain()
  #foreign = false
  #seen = 0
  #intent: { value: Intent; atMs: number } | null = null
  /** The newest state of this lease, and when it came. */
  #newest: { seq: number; atMs: number } | null = null
  #letGo = false
  #tickedMs = 0
  #twist = new Twist()
  #connection = new Connection()

  lease(epoch: number | null, hands = 1, base: BaseSpeeds | null = null): void {
    this.#epoch = epoch
    this.#chain = new Chain()
    this.#seen = 0
    this.#intent = this.#newest = null
    this.#letGo = this.#foreign = false
    this.#twist = new Twist(hands, base)
    this.#connection = new Connection()
  }

  /** The number of the newest command. */
  get seq(): number {
    return this.#chain.last
  }

  /** Whether the robot of this lease obeyed something that was not sent from here. */
  get foreign(): boolean {
    return this.#foreign
  }

  /** The commands that were made since this was last asked; null if there are none. */
  takeNew(): (Links & { epoch: number }) | null {
    const links = this.#epoch === null ? null : this.#chain.takeNew()
    return links && this.#epoch !== null ? { ...links, epoch: this.#epoch } : null
  }

  /** Whether the robot was let go because it was not seen, while the operator has not let go yet. */
  get letGo(): boolean {
    return this.#letGo
  }

  /** Take an intent; returns in how many ms to say it, or null if the next tick is soon enough. */
  want(intent: Intent, nowMs: number): number | null {
    const last = this.#intent?.value
    if (!intent.deadMan) this.#letGo = false
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
    if (state.epoch !== this.#epoch) return state
    this.#connection.take(state, nowMs)
    this.#foreign ||= !this.#chain.agrees(state.applied, state.commands)
    if (state.seq > (this.#newest?.seq ?? -1)) this.#newest = { seq: state.seq, atMs: nowMs }
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
    const deadMan = this.#holds(nowMs)
    const pace = this.health(nowMs).grade === 'bad' ? REDUCED : 1
    const values = wanted ? this.#twist.step({ ...wanted.value, deadMan }, elapsedS, pace) : []
    const tClientUs = BigInt(Math.round(nowMs * 1000))
    const { last, before } = this.#chain
    const head = { epoch: this.#epoch, seq: last + 1, seen: this.#seen, tClientUs, before, deadMan }
    const command = encodeCommand(deadMan ? { ...head, mode: 'ee_twist', values } : { ...head, mode: 'neutral', values: [] })
    this.#chain.push(command)
    return command
  }

  /** Whether the dead-man is held, by an operator who is there and sees the robot. */
  #holds(nowMs: number): boolean {
    const [wanted, newest] = [this.#intent, this.#newest]
    if (!wanted?.value.deadMan || !newest || nowMs - wanted.atMs >= STALL_MS) return false
    this.#letGo ||= nowMs - newest.atMs >= BLIND_MS
    return !this.#letGo && !this.#foreign
  }
}

const same = (one: Intent, other: Intent): boolean =>
  one.deadMan === other.deadMan &&
  one.slow === other.slow &&
  one.part === other.part &&
  AXES.every((axis) => one.axes[axis] === other.axes[axis]) &&
  one.grippers.length === other.grippers.length &&
  one.grippers.every((opening, hand) => opening === other.grippers[hand])
