// A pad that the browser does not know is bound by pressing what is asked for, once; then it is read as a standard one.
// Pure: `pads.svelte.ts` keeps what was bound, by the pad's id.

import type { Pad } from './gamepad'
import { DRIFT_MAX, fromRest, Rest } from './rest'

/** A control of an unknown pad: a button `b3`, half an axis `a2+`, or an axis at one of its values, as hats have: `a9=-0.71`. */
export type Raw = string

export interface Profile {
  /** Each axis where it rests. */
  readonly rest: readonly number[]
  /** Control of a standard pad (`bindings.ts`) -> this pad's own. */
  readonly controls: Readonly<Record<string, Raw>>
}

/** What is asked for, in order: control of a standard pad, and what a person does. A stick's other ways follow from one. */
export const ASKED: readonly (readonly [control: string, what: string])[] = [
  ['a0+', 'Push the left stick to the right'],
  ['a1+', 'Pull the left stick down, towards you'],
  ['a2+', 'Push the right stick to the right'],
  ['a3+', 'Pull the right stick down, towards you'],
  ['b7', 'Pull the right trigger: the dead-man, to be held while driving'],
  ['b1', 'Press the button on the right (B, circle): the emergency stop'],
  ['b0', 'Press the button below (A, cross): the gripper'],
  ['b2', 'Press the button on the left (X, square)'],
  ['b3', 'Press the button above (Y, triangle)'],
  ['b4', 'Press the left shoulder button'],
  ['b12', 'Press the cross up'],
  ['b13', 'Press the cross down'],
  ['b14', 'Press the cross to the left'],
  ['b15', 'Press the cross to the right'],
  ['b9', 'Press Start'],
  ['b8', 'Press Back, or Select'],
]
/** Without these a pad cannot drive, so they cannot be skipped. */
const NEEDED = new Set(['a0+', 'a1+', 'b7', 'b1'])
const PRESSED = 0.6
const LET_GO = 0.25
/** An axis beyond this is a hat, and rests there. */
const OFF_SCALE = 1.05
const SAME = 0.1
/** Triggers rest below this. */
const LOW_END = -0.9
const STANDARD_BUTTONS = 17

/** What a pad did between two moments at which it was at rest. */
class Press {
  readonly #low: number[]
  readonly #high: number[]
  /** The last value of each axis that is on the scale: a hat that is let go of is off it. */
  readonly #on: (number | null)[]
  readonly #buttons: number[]

  constructor(pad: Pad) {
    this.#low = [...pad.axes]
    this.#high = [...pad.axes]
    this.#on = pad.axes.map(() => null)
    this.#buttons = pad.buttons.map(() => 0)
  }

  hear(pad: Pad): void {
    for (const [i, value] of pad.axes.entries()) {
      this.#low[i] = Math.min(this.#low[i] ?? value, value)
      this.#high[i] = Math.max(this.#high[i] ?? value, value)
      if (Math.abs(value) <= OFF_SCALE) this.#on[i] = value
    }
    for (const [i, { value }] of pad.buttons.entries()) this.#buttons[i] = Math.max(this.#buttons[i] ?? 0, value)
  }

  /** The control that was moved most, if the pad rests like this afterwards. */
  control(rest: readonly number[]): Raw | null {
    const button = this.#buttons.findIndex((value) => value > PRESSED)
    if (button >= 0) return `b${button}`
    let most: { raw: Raw; away: number } | null = null
    for (const [i, at] of rest.entries()) {
      const on = this.#on[i]
      if (Math.abs(at) > OFF_SCALE && on !== null && on !== undefined) return `a${i}=${on.toFixed(2)}`
      const [up, down] = [fromRest(this.#high[i] ?? at, at), -fromRest(this.#low[i] ?? at, at)]
      const away = Math.max(up, down)
      if (away > (most?.away ?? PRESSED)) most = { raw: `a${i}${up >= down ? '+' : '-'}`, away }
    }
    return most?.raw ?? null
  }
}

/**
 * Asks for each control, and takes what was moved once the pad is at rest again: only then is it known which way a
 * trigger goes, as its axis says 0 until it is first moved, and rests at one end from then on.
 */
export class Binder {
  readonly #rest = new Rest()
  readonly #controls: Record<string, Raw> = {}
  #resting: readonly number[] | null = null
  #press: Press | null = null
  #at = 0
  /** Why the last press was not taken. */
  complaint: string | null = null

  /** What a person is asked for now; null: all is bound. */
  get asked(): { control: string; what: string; needed: boolean; step: number; of: number } | null {
    const next = ASKED[this.#at]
    return next ? { control: next[0], what: next[1], needed: NEEDED.has(next[0]), step: this.#at + 1, of: ASKED.length } : null
  }

  /** Whether everything has to be let go of first. */
  get waiting(): boolean {
    return this.#resting === null
  }

  /** Take what the pad says now. */
  hear(pad: Pad, nowMs: number): void {
    this.#press ??= new Press(pad)
    this.#press.hear(pad)
    const still = this.#rest.hear(pad, nowMs)
    if (!still?.every((value, i) => canRest(value, this.#resting?.[i]))) return // held still is not let go of
    const moved = this.#resting && this.#press.control(still)
    this.#resting = still
    if (moved && this.asked) this.#take(this.asked.control, moved)
    this.#press = null
  }

  /** The pad has no such control. */
  skip(): void {
    if (this.asked && !this.asked.needed) this.#next()
  }

  /** What was bound; null before the end. */
  get profile(): Profile | null {
    return this.asked || !this.#resting ? null : { rest: this.#resting, controls: { ...this.#controls } }
  }

  #take(control: string, moved: Raw): void {
    const taken = Object.entries(this.#controls).find(([, raw]) => overlap(raw, moved))
    if (taken) this.complaint = `That one is taken: “${ASKED.find(([one]) => one === taken[0])?.[1] ?? taken[0]}”. Use another.`
    else if (control.startsWith('a') && !/^a\d+[+-]$/.test(moved)) this.complaint = 'That was a button. A stick is needed here.'
    else {
      this.#controls[control] = moved
      this.#next()
    }
  }

  #next(): void {
    this.#at += 1
    this.complaint = null
  }
}

/** Whether an axis can be at rest here: where it was before, in its middle, or, if it has said nothing yet, at its low end. */
function canRest(value: number, before: number | undefined): boolean {
  const off = Math.abs(value) > OFF_SCALE
  if (before !== undefined && Math.abs(before) > OFF_SCALE) return off
  const [middle, same] = [Math.abs(value) < DRIFT_MAX, before !== undefined && Math.abs(value - before) < DRIFT_MAX]
  return off || middle || same || (value < LOW_END && (before === undefined || before === 0))
}

/** Whether one press could be both: the two ways of a stick belong to it alone. */
const overlap = (one: Raw, other: Raw): boolean =>
  one === other || (/[+-]$/.test(one) && /[+-]$/.test(other) && one.slice(0, -1) === other.slice(0, -1))

/** The pad as a standard one, by what was bound; everything is at rest where the pad is. */
export function standardised(pad: Pad, { rest, controls }: Profile): Pad {
  const value = (raw: Raw | undefined): number => {
    if (!raw) return 0
    const [, kind, index, way] = /^([ab])(\d+)(.*)$/.exec(raw) ?? []
    if (kind === 'b') return pad.buttons[Number(index)]?.value ?? 0
    const at = pad.axes[Number(index)] ?? 0
    if (way?.startsWith('=')) return Math.abs(at - Number(way.slice(1))) < SAME ? 1 : 0
    return fromRest(at, rest[Number(index)] ?? 0) * (way === '-' ? -1 : 1)
  }
  const pushed = (raw: Raw | undefined): number => {
    const far = Math.max(0, value(raw))
    return far < LET_GO ? 0 : far
  }
  return {
    id: pad.id,
    mapping: 'standard',
    connected: pad.connected,
    axes: ['a0+', 'a1+', 'a2+', 'a3+'].map((control) => value(controls[control])),
    buttons: Array.from({ length: STANDARD_BUTTONS }, (_, i) => ({ value: pushed(controls[`b${i}`]) })),
  }
}

/** What was kept of a pad, if it can be used. */
export function profileOf(kept: unknown): Profile | null {
  const { rest, controls } = (kept ?? {}) as Partial<Record<keyof Profile, unknown>>
  if (!Array.isArray(rest) || !rest.every(Number.isFinite) || typeof controls !== 'object' || !controls) return null
  const raws = Object.values(controls)
  const fine = raws.every((raw) => typeof raw === 'string' && /^(b\d+|a\d+([+-]|=-?\d+(\.\d+)?))$/.test(raw))
  return fine && [...NEEDED].every((control) => control in controls) ? { rest: rest as number[], controls: controls as Record<string, Raw> } : null
}
