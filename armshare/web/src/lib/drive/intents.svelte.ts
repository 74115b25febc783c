// What an operator asks for, by keys and devices, on its way to the robot: told to the link again and again, as it forgets
// what is not renewed; and what is shown of it.

import { actionOf, AXES, type Motion } from '../hands/bindings'
import { controls } from '../hands/controls.svelte'
import { type Axes, Input } from '../hands/input'
import type { Pose } from '../hands/servo'
import type { Ways, Why } from '../hands/ways'
import { Latency } from '../link/latency'
import type { ToLink } from '../link/link'
import type { State } from '../link/wire'
import type { Sight } from './sight.svelte'

/** A motion counts as asked for from here on, of the whole. */
const ASKED = 0.3
/** A performance measure: from a key going down to the frame that first shows its command applied. */
const INPUT_TO_PICTURE = 'input-to-picture'

/** The visit that they are for. */
export interface Visit {
  /** Whether this page holds the robot. */
  readonly holding: boolean
  /** Whether an episode can be driven. */
  readonly drivable: boolean
}

export class Intents {
  readonly input = new Input((code) => actionOf(controls.keys, code))
  /** Which keys are down, for the picture of the keyboard. */
  held = $state.raw<ReadonlySet<string>>(new Set())
  deadMan = $state(false)
  slow = $state(false)
  gripper = $state(1)
  /** Which hand the keys move, by number, or one more for the base. */
  part = $state(0)
  /** The robot was let go because nothing was seen of it: still so, or seen again and not yet pressed again. */
  blind = $state<'unseen' | 'seen' | null>(null)
  /** What the chosen hand cannot do from where it is, as the view finds it. */
  ways = $state.raw<Ways>(new Map())
  /** Which way the hand is sent at the moment. */
  #asked = $state.raw<readonly Motion[]>([])
  readonly #visit: Visit
  readonly #sight: Sight
  readonly #tell: (message: ToLink) => void
  #count = 0
  #latency = new Latency()
  /** No state of this episode has come yet. */
  #fresh = true

  constructor(visit: Visit, sight: Sight, tell: (message: ToLink) => void) {
    this.#visit = visit
    this.#sight = sight
    this.#tell = tell
  }

  /** Why the hand does not go where it is sent, known without waiting for it; null if it does. */
  get hindrance(): Why | null {
    if (!this.#visit.drivable || !this.deadMan) return null
    return this.#asked.map((motion) => this.ways.get(motion)).find((why) => why !== undefined) ?? null
  }

  /** Where the chosen hand is; null if the keys move the base, and before the first state. */
  get hand(): Pose | null {
    return this.#sight.hand(this.part)
  }

  /** How far the base that carries the hands has turned. */
  get headingRad(): number {
    return this.#sight.headingRad
  }

  /** Tell the link what is wanted now. `pressedMs`: when the key of it went down. */
  send(pressedMs?: number): void {
    const held = this.input.held()
    if (held.size !== this.held.size || [...held].some((code) => !this.held.has(code))) this.held = new Set(held)
    this.gripper = this.input.grippers[this.part] ?? 1
    this.slow = this.input.slow
    if (!this.#visit.holding) return
    const intent = this.input.intent(performance.now(), this.#sight.openings)
    this.deadMan = intent.deadMan && this.#visit.drivable
    this.#asks(intent.axes)
    if (this.deadMan && this.blind === 'seen') this.blind = null
    this.#tell({ type: 'intent', intent: { ...intent, deadMan: this.deadMan }, number: ++this.#count })
    if (pressedMs !== undefined) this.#latency.pressed(pressedMs, this.#count)
  }

  letGo(): void {
    this.input.neutral()
    this.send()
  }

  toggleGripper(): void {
    if (!this.#visit.drivable || !this.#sight.openings) return
    this.input.toggleGripper(performance.now())
    this.send()
  }

  choose(part: number): void {
    if (part >= this.#sight.parts.length) return
    this.input.choose(part)
    this.part = part
    this.send()
  }

  /** This page commands the robot from now on. */
  take(epoch: number): void {
    const { base, end_effectors } = this.#sight.robot?.descriptor ?? { base: null, end_effectors: [] }
    this.#latency = new Latency()
    const speeds = base && { forwardMS: base.speed_max_m_s, turnRadS: base.turn_max_rad_s }
    this.#tell({ type: 'lease', epoch, hands: end_effectors.length, base: speeds })
    this.send()
  }

  /** A new episode can begin. */
  ready(): void {
    this.blind = null
    this.input.neutral()
    this.#fresh = true
  }

  /** A state of this lease came. */
  seen(): void {
    if (this.#fresh) this.#adopt()
    this.blind &&= 'seen'
  }

  /** The link has let go by itself; what is held must be let go of too. */
  unseen(): void {
    this.blind = 'unseen'
    this.letGo()
  }

  /** Command `seq` was the first that said intent `number`. */
  sent(number: number, seq: number): void {
    this.#latency.sent(number, seq)
  }

  /** A state has been drawn; `finished` waits for the graphics, and says when they are ready. */
  shown(state: State, finished: () => number): void {
    this.#tell({ type: 'shown', seq: state.seq })
    const start = this.#latency.shown(state.applied)
    if (start === null) return
    const detail = { state: state.seq, heardMs: this.#sight.heardMs - start, handedMs: performance.now() - start }
    performance.measure(INPUT_TO_PICTURE, { start, end: finished(), detail })
  }

  #asks(axes: Axes): void {
    const asked = AXES.flatMap((axis): Motion[] =>
      Math.abs(axes[axis]) < ASKED ? [] : [axes[axis] > 0 ? `${axis}+` : `${axis}-`],
    )
    if (asked.join() !== this.#asked.join()) this.#asked = asked
  }

  /** Want the grippers as they are, so that the first motion does not move them. */
  #adopt(): void {
    this.#fresh = false
    const { openings } = this.#sight
    if (!openings) return
    this.input.adoptGrippers(openings)
    this.#tell({ type: 'openings', openings: this.input.grippers })
  }
}
