// What holds the arm back, in words: only what lasts, and for long enough to be read.
//
// Pure: time comes in as an argument.

import { words } from '../format'
import type { Why } from '../hands/ways'
import { LIMIT_RULES, type LimitRule } from '../link/wire'

const AFTER_MS = 150
const KEPT_MS = 600
/** Rules that act in one period and not in the next act still. */
const GAP_MS = 120
/** Farther than this no arm is behind its target by itself, rad. */
const BEHIND_RAD = 0.1

export type Hint = 'blocked' | 'joint' | 'edge' | 'singular' | 'misfit' | 'fast'

export const WORDS: Record<Hint, string> = {
  blocked: 'Blocked: something is holding the arm',
  joint: 'A joint is at its limit',
  edge: 'At the edge of its reach',
  singular: 'Slowed near a singular pose',
  misfit: 'The command does not fit this robot',
  fast: 'At its top speed',
}

/** What keeps a hand from going where it is sent, said at once; `joints` is how many its arm has. */
export function keptBy(why: Why, joints: number): string {
  if (why.why === 'edge') return WORDS.edge
  if (why.why === 'joint') return `${words(why.joint)} is at the end of its range`
  return joints < 6 ? `With ${joints} joints, this arm cannot turn that way here` : 'The arm cannot go that way from here'
}

/** What is said if several act: the first. */
const RULES: readonly [Hint, readonly LimitRule[]][] = [
  ['blocked', ['tracking']],
  ['joint', ['joint_position']],
  ['edge', ['workspace']],
  ['singular', ['singularity']],
  ['misfit', ['shape']],
  ['fast', ['ee_velocity', 'ee_rotation', 'joint_velocity', 'base_velocity']],
]

export class Hints {
  readonly #acting = new Map<Hint, { sinceMs: number; lastMs: number }>()
  #shown: { hint: Hint; sinceMs: number } | null = null

  clear(): void {
    this.#acting.clear()
    this.#shown = null
  }

  /** Take a state's `limits`, and by how much the joints are behind their targets; returns what to say. */
  take(limits: number, behindRad: number, nowMs: number): Hint | null {
    for (const [hint, rules] of RULES) {
      const acts = rules.some((rule) => limits & LIMIT_RULES[rule]) || (hint === 'blocked' && behindRad > BEHIND_RAD)
      const known = this.#acting.get(hint)
      if (acts && known) known.lastMs = nowMs
      else if (acts) this.#acting.set(hint, { sinceMs: nowMs, lastMs: nowMs })
      else if (known && nowMs - known.lastMs > GAP_MS) this.#acting.delete(hint)
    }
    const lasting = RULES.find(([hint]) => this.#lastedMs(hint) >= AFTER_MS)?.[0] ?? null
    const kept = this.#shown && nowMs - this.#shown.sinceMs < KEPT_MS
    if (lasting !== (this.#shown?.hint ?? null) && !kept) this.#shown = lasting && { hint: lasting, sinceMs: nowMs }
    return this.#shown?.hint ?? null
  }

  #lastedMs(hint: Hint): number {
    const acting = this.#acting.get(hint)
    return acting ? acting.lastMs - acting.sinceMs : 0
  }
}

/** By how much the joint that is farthest from its target is, rad; 0 if the two are not known. */
export function behindRad(joints: ArrayLike<number> | null, targets: ArrayLike<number> | null): number {
  if (!joints || !targets) return 0
  return Array.from(joints).reduce((most, joint, i) => Math.max(most, Math.abs((targets[i] ?? joint) - joint)), 0)
}
