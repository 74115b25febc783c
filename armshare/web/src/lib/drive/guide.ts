// The first drive, as the page sees it: which of the things to show have been shown. Pure, and guidance only: the hub
// checks the recorded episode (`docs/scoring.md`, section 6).

import type { Needs } from '../account/api'
import type { Descriptor, Layout } from '../link/descriptor'
import type { State } from '../link/wire'

export type LessonName = 'move_x' | 'move_y' | 'move_z' | 'gripper' | 'let_go' | 'finish'

export interface Lesson {
  name: LessonName
  /** In [0, 1]: how much of it has been shown. */
  share: number
  done: boolean
}

const AXES = ['move_x', 'move_y', 'move_z'] as const
const CLOSED = 0.4
const OPEN = 0.6

/** How much of the way out a hand must come back, for a move there and back. */
const BACK = 0.5

/** Where a hand has been along an axis, m. */
interface Way {
  lower: number
  upper: number
  /** The farthest that it came up, and down, from any place where it had been. */
  rise: number
  fall: number
}

/** In [0, 1]: how much of a move there and back it was; `neededM` is how far the hub wants it to have been. */
function shared({ lower, upper, rise, fall }: Way, neededM: number): number {
  const far = Math.max(upper - lower, neededM)
  return (Math.min(1, (upper - lower) / neededM) + Math.min(1, Math.min(rise, fall) / (BACK * far))) / 2
}

export class Guide {
  readonly #descriptor: Descriptor
  readonly #layout: Layout
  readonly #needs: Needs
  /** Of each hand, along each axis. */
  readonly #ways: Way[][]
  /** What was shown once stays shown. */
  readonly #shown: Set<string>
  /** Of each gripper: not open yet, open, then closed, then opened again. */
  readonly #grips: ('unknown' | 'open' | 'closed' | 'reopened')[]
  #firstUs: bigint | null = null
  #nowUs = 0n
  #sinceUs: bigint | null = null
  #driven = false
  #restS = 0
  #rested = false

  /** `shown`: what earlier drives have shown already. */
  constructor(descriptor: Descriptor, layout: Layout, needs: Needs, shown: readonly string[] = []) {
    this.#descriptor = descriptor
    this.#layout = layout
    this.#needs = needs
    this.#shown = new Set(shown)
    this.#ways = descriptor.end_effectors.map(() => AXES.map(() => ({ lower: Infinity, upper: -Infinity, rise: 0, fall: 0 })))
    this.#grips = descriptor.end_effectors.map(() => 'unknown')
  }

  /** Take note of a recorded state. */
  see(state: State): void {
    this.#nowUs = state.tHostUs
    this.#firstUs ??= state.tHostUs
    this.#descriptor.end_effectors.forEach((end, hand) => {
      const place = this.#layout.get(state.values, end.pose)
      this.#ways[hand]?.forEach((way, axis) => this.#moved(way, axis, place?.[axis]))
    })
    this.#layout.get(state.values, 'gripper_position')?.forEach((opening, hand) => this.#gripped(opening, hand))
    this.#heldStill(state)
  }

  /** What there is to show, in order. */
  get steps(): Lesson[] {
    const { rest_s, duration_s } = this.#needs
    const moves = AXES.map((name, axis) => this.#step(name, this.#share(axis)))
    const grip = this.#grips.includes('reopened') ? 1 : this.#grips.includes('closed') ? 0.5 : 0
    const gripper = this.#canGrip ? [this.#step('gripper', grip)] : []
    const rest = this.#step('let_go', this.#rested ? 1 : Math.min(this.#restS / rest_s, 0.9))
    const seconds = this.#firstUs === null ? 0 : Number(this.#nowUs - this.#firstUs) / 1e6
    return [...moves, ...gripper, rest, { ...step('finish', seconds / duration_s), done: false }]
  }

  get #canGrip(): boolean {
    return this.#descriptor.end_effectors.some((end) => Object.keys(end.gripper_joints).length > 0)
  }

  #moved(way: Way, axis: number, at: number | undefined): void {
    if (at === undefined) return
    way.lower = Math.min(way.lower, at)
    way.upper = Math.max(way.upper, at)
    way.rise = Math.max(way.rise, at - way.lower)
    way.fall = Math.max(way.fall, way.upper - at)
    const name = AXES[axis]
    if (name && this.#share(axis) >= 1) this.#shown.add(name)
  }

  /** Of the hand that has shown most of this axis. */
  #share(axis: number): number {
    return Math.max(...this.#ways.map((hand) => (hand[axis] ? shared(hand[axis], this.#needs.moved_m) : 0)))
  }

  #step(name: LessonName, share: number): Lesson {
    return step(name, this.#shown.has(name) ? 1 : share)
  }

  #gripped(opening: number, hand: number): void {
    const before = this.#grips[hand]
    if (before === 'unknown' && opening > CLOSED) this.#grips[hand] = 'open'
    else if (before === 'open' && opening < CLOSED) this.#grips[hand] = 'closed'
    else if (before === 'closed' && opening > OPEN) this.#grips[hand] = 'reopened'
  }

  /** A rest counts once the drive goes on. */
  #heldStill(state: State): void {
    const released = state.safety === 'holding' || state.safety === 'armed'
    if (state.safety === 'driving') {
      this.#rested ||= this.#restS >= this.#needs.rest_s
      this.#driven = true
    }
    this.#sinceUs = released && this.#driven ? (this.#sinceUs ?? state.tHostUs) : null
    this.#restS = this.#sinceUs === null ? 0 : Number(state.tHostUs - this.#sinceUs) / 1e6
  }
}

function step(name: LessonName, share: number): Lesson {
  const within = Math.max(0, Math.min(share, 1)) || 0
  return { name, share: within, done: within >= 1 }
}

/** What to do now: the first step that is not done. */
export const due = (steps: readonly Lesson[]): Lesson | undefined => steps.find((each) => !each.done)
