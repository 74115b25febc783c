// Where a pad's sticks and triggers are when nobody touches them: learned before it may drive. Pure.
//
// Sticks drift, and a pad without the standard mapping has triggers that rest at -1, which is the end of an axis.

import type { Pad } from './gamepad'

/** How long nothing may move, and how far, to be at rest. */
const STILL_MS = 300
const STILL = 0.05
const PRESSED = 0.2
/** A stick that rests farther out is held by somebody, and its middle is not known. */
export const DRIFT_MAX = 0.3

export class Rest {
  #at: { axes: readonly number[]; sinceMs: number } | null = null

  /** Take what a pad says now; returns its axes at rest as soon as they have been still, with no button down. */
  hear(pad: Pad, nowMs: number): readonly number[] | null {
    const at = this.#at
    const still = at?.axes.length === pad.axes.length && pad.axes.every((value, i) => Math.abs(value - (at.axes[i] as number)) < STILL)
    if (!at || !still || pad.buttons.some(({ value }) => value > PRESSED)) {
      this.#at = { axes: [...pad.axes], sinceMs: nowMs }
      return null
    }
    return nowMs - at.sinceMs >= STILL_MS ? at.axes : null
  }

  forget(): void {
    this.#at = null
  }
}

/** How far a value is from where it rests, in [-1, 1]: from rest to the end on that side is 1. */
export function fromRest(value: number, rest: number): number {
  const room = value > rest ? 1 - rest : 1 + rest
  return room < 0.1 ? 0 : Math.max(-1, Math.min(1, (value - rest) / room))
}
