// How much of an episode has been shown: each moment counts once, however often it is played.

const BIN_S = 0.25
/** A jump longer than this is no playing: what lies between was not shown. */
const STEP_MAX_S = 1.5

export class Seen {
  readonly #bins = new Set<number>()
  #lastS: number | null = null
  readonly #lengthS: number

  constructor(lengthS: number) {
    this.#lengthS = lengthS
  }

  /** The moment that is shown now, s. */
  at(nowS: number): void {
    const from = this.#lastS !== null && nowS > this.#lastS && nowS - this.#lastS <= STEP_MAX_S ? this.#lastS : nowS
    for (let bin = Math.floor(from / BIN_S); bin <= Math.floor(nowS / BIN_S); bin++) this.#bins.add(bin)
    this.#lastS = nowS
  }

  /** How much has been shown, s: at most the whole. */
  get seconds(): number {
    return Math.min(this.#bins.size * BIN_S, this.#lengthS)
  }
}

/** What part of an episode has to be shown before a vote on it is taken; the hub has the same rule. */
export const WATCHED = 0.25

/** What is still missing before an answer is taken, s of the episode and s of waiting; 0 and 0 if nothing is. */
export function missing(seenS: number, lengthS: number, soonestMs: number, nowMs: number): { lookS: number; waitS: number } {
  return { lookS: Math.max(0, lengthS * WATCHED - seenS), waitS: Math.max(0, Math.ceil((soonestMs - nowMs) / 1000)) }
}
