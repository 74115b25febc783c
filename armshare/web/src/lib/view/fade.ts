// What comes and goes in the picture, softly: a strength in [0, 1] that moves at one speed towards where it should be.
//
// Pure: time comes in as an argument.

export class Fade {
  value = 0
  readonly #overMs: number
  #atMs: number | null = null

  /** From 0 to 1 takes `overMs`. */
  constructor(overMs: number) {
    this.#overMs = overMs
  }

  /** Go on towards `target`; returns whether the strength changed. */
  step(target: number, nowMs: number): boolean {
    const before = this.value
    const most = (nowMs - (this.#atMs ?? nowMs)) / this.#overMs
    this.value += Math.min(most, Math.max(-most, target - before))
    this.#atMs = nowMs
    return this.value !== before
  }
}
