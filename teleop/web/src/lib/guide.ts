// The first drive, as the page sees it: which of the things to show have been shown. Pure, and guidance only: the hub
// checks the recorded episode (`docs/scoring.md`, section 6).

import type { Needs } from './api'
import type { Descriptor, Layout } from './descriptor'
import type { State } from './wire'

export type StepName = 'move_x' | 'move_y' | 'move_z' | 'gripper' | 'let_go' | 'finish'

export interface Step {
  name: StepName
  /** In [0, 1]: how much of it has been shown. */
  share: number
  done: boolean
}

const AXES = ['move_x', 'move_y', 'move_z'] as const
const CLOSED = 0.4
const OPEN = 0.6

interface Span {
  lower: number
  upper: number
}

export class Guide {
  readonly #descriptor: Descriptor
  readonly #layout: Layout
  readonly #needs: Needs
  /** Of each hand, along each axis. */
  readonly #spans: Span[][]
  /** Of each gripper: not open yet, open, then closed, then opened again. */
  readonly #grips: ('unknown' | 'open' | 'closed' | 'reopened')[]
  #firstUs: bigint | null = null
  #nowUs = 0n
  #sinceUs: bigint | null = null
  #driven = false
  #restS = 0
  #rested = false

  constructor(descriptor: Descriptor, layout: Layout, needs: Needs) {
    this.#descriptor = descriptor
    this.#layout = layout
    this.#needs = needs
    this.#spans = descriptor.end_effectors.map(() => AXES.map(() => ({ lower: Infinity, upper: -Infinity })))
    this.#grips = descriptor.end_effectors.map(() => 'unknown')
  }

  /** Take note of a recorded state. */
  see(state: State): void {
    this.#nowUs = state.tHostUs
    this.#firstUs ??= state.tHostUs
    this.#descriptor.end_effectors.forEach((end, hand) => {
      const place = this.#layout.get(state.values, end.pose)
      this.#spans[hand]?.forEach((span, axis) => {
        span.lower = Math.min(span.lower, place?.[axis] ?? Infinity)
        span.upper = Math.max(span.upper, place?.[axis] ?? -Infinity)
      })
    })
    this.#layout.get(state.values, 'gripper_position')?.forEach((opening, hand) => this.#gripped(opening, hand))
    this.#heldStill(state)
  }

  /** What there is to show, in order. */
  get steps(): Step[] {
    const { moved_m, rest_s, duration_s } = this.#needs
    const moves = AXES.map((name, axis) => {
      const spans = this.#spans.map((hand) => hand[axis]).map((span) => (span ? span.upper - span.lower : 0))
      return step(name, Math.max(...spans) / moved_m)
    })
    const grip = this.#grips.includes('reopened') ? 1 : this.#grips.includes('closed') ? 0.5 : 0
    const gripper = this.#canGrip ? [step('gripper', grip)] : []
    const rest = step('let_go', this.#rested ? 1 : Math.min(this.#restS / rest_s, 0.9))
    const seconds = this.#firstUs === null ? 0 : Number(this.#nowUs - this.#firstUs) / 1e6
    return [...moves, ...gripper, rest, { ...step('finish', seconds / duration_s), done: false }]
  }

  get #canGrip(): boolean {
    return this.#descriptor.end_effectors.some((end) => Object.keys(end.gripper_joints).length > 0)
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

function step(name: StepName, share: number): Step {
  const within = Math.max(0, Math.min(share, 1)) || 0
  return { name, share: within, done: within >= 1 }
}

/** What to do now: the first step that is not done. */
export const due = (steps: readonly Step[]): Step | undefined => steps.find((each) => !each.done)
