// Which pad is plugged in, whether it may drive yet, and what was bound for those that the browser does not know.

import { type Profile, profileOf, standardised } from './binding'
import { chosen, type Pad } from './gamepad'
import { DRIFT_MAX, fromRest, Rest } from './rest'

const KEPT = 'armshare.pads'

/** `resting`: nothing of it has been still yet; `unknown`: it has to be bound first. */
export type PadState = 'resting' | 'unknown' | 'ready'
export interface Plugged {
  id: string
  standard: boolean
  state: PadState
}

/** A pad whose sticks are counted from where they rest. A `Gamepad` has getters, which a spread would not copy. */
const rested = ({ id, mapping, connected, axes, buttons }: Pad, rest: readonly number[]): Pad => ({
  id,
  mapping,
  connected,
  buttons,
  axes: axes.map((value, i) => fromRest(value, rest[i] ?? 0)),
})

function kept(): Record<string, unknown> {
  try {
    return (JSON.parse(localStorage.getItem(KEPT) ?? 'null') as Record<string, unknown> | null) ?? {}
  } catch {
    return {}
  }
}

export class Pads {
  /** The pad that is used. */
  plugged = $state.raw<Plugged | null>(null)
  readonly #rest = new Rest()
  #resting: readonly number[] | null = null
  #profile: Profile | null = null
  /** Axes that have said nothing since the pad was plugged in. */
  readonly #silent = new Set<number>()

  /** The pad as the browser has it. */
  raw(): Pad | null {
    return chosen(navigator.getGamepads?.() ?? [])
  }

  /** Take what is plugged in now; returns it as a standard pad, from its rest, once it may drive. */
  read(nowMs: number): Pad | null {
    const pad = this.raw()
    if (pad?.id !== this.plugged?.id) this.#change(pad)
    if (!pad) return null
    const profile = this.#profile
    const ready = this.#resting ?? this.#learn(pad, nowMs)
    this.#say(pad, ready ? 'ready' : pad.mapping === 'standard' || profile ? 'resting' : 'unknown')
    if (!ready) return null
    return profile ? standardised(this.#heard(pad, ready), { ...profile, rest: ready }) : rested(pad, ready)
  }

  /** Use what was bound for the pad, from now on and the next time. */
  bind(id: string, profile: Profile): void {
    localStorage.setItem(KEPT, JSON.stringify({ ...kept(), [id]: profile }))
    this.#change(this.raw())
    if (this.#profile) this.#resting = profile.rest  // it was at rest when the last control was bound
  }

  #change(pad: Pad | null): void {
    this.#rest.forget()
    this.#silent.clear()
    this.#resting = null
    this.#profile = pad && pad.mapping !== 'standard' ? profileOf(kept()[pad.id]) : null
    this.plugged = pad && { id: pad.id, standard: pad.mapping === 'standard', state: 'resting' }
  }

  /** Learn where it rests. A standard pad's sticks rest near their middle; a bound one's near where they did before. */
  #learn(pad: Pad, nowMs: number): readonly number[] | null {
    const still = this.#rest.hear(pad, nowMs)
    if (!still || (pad.mapping !== 'standard' && !this.#profile)) return null
    const expected = this.#profile?.rest ?? still.map(() => 0)
    const near = (value: number, i: number) => Math.abs(value - (expected[i] ?? 0)) < DRIFT_MAX
    if (!still.every((value, i) => near(value, i) || (value === 0 && this.#profile))) return null
    for (const [i, value] of still.entries()) if (!near(value, i)) this.#silent.add(i)
    this.#resting = still.map((value, i) => (near(value, i) ? value : (expected[i] ?? 0)))
    return this.#resting
  }

  /** The pad, with each axis that has said nothing yet where it was when it was bound: until it is moved it says 0. */
  #heard(pad: Pad, rest: readonly number[]): Pad {
    for (const i of this.#silent) if (pad.axes[i] !== 0) this.#silent.delete(i)
    if (this.#silent.size === 0) return pad
    const axes = pad.axes.map((value, i) => (this.#silent.has(i) ? (rest[i] ?? 0) : value))
    return { id: pad.id, mapping: pad.mapping, connected: pad.connected, buttons: pad.buttons, axes }
  }

  #say(pad: Pad, state: PadState): void {
    if (this.plugged?.state !== state) this.plugged = { id: pad.id, standard: pad.mapping === 'standard', state }
  }
}
