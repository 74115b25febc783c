// An episode seen again: from the states that the page was shown while it was driven, without a download.

import { blend } from './interp'
import type { State } from '../link/wire'

export interface Frame {
  hostMs: number
  values: Float32Array
  succeeded: boolean
}

export class Replay {
  playing = $state(false)
  /** Where it is, from the episode's first state, s. */
  atS = $state(0)
  lengthS = $state(0)
  /** The moment that the picture shows; it may lag behind where drawing is slow. */
  shownS = $state<number | null>(null)
  #frames: Frame[] = []
  readonly #quaternions: readonly number[]
  #drawnMs = 0

  /** `quaternions` say where one begins in a state's values. */
  constructor(quaternions: readonly number[] = []) {
    this.#quaternions = quaternions
  }

  /** What was recorded, in order of time. */
  get frames(): readonly Frame[] {
    return this.#frames
  }

  clear(): void {
    this.#frames = []
    this.playing = false
    this.atS = this.lengthS = 0
  }

  push(state: Pick<State, 'tHostUs' | 'values' | 'succeeded'>): void {
    const hostMs = Number(state.tHostUs) / 1000
    const [first, last] = [this.#frames[0], this.#frames.at(-1)]
    if (last && hostMs <= last.hostMs) return
    this.#frames.push({ hostMs, values: state.values, succeeded: state.succeeded })
    if (first) this.lengthS = (hostMs - first.hostMs) / 1000
  }

  /** Go on from where it is, or from the beginning if it is at the end. */
  play(): void {
    if (this.atS >= this.lengthS) this.atS = 0
    this.#drawnMs = 0
    this.playing = true
  }

  pause(): void {
    this.playing = false
  }

  scrub(atS: number): void {
    this.playing = false
    this.atS = Math.min(this.lengthS, Math.max(0, atS))
  }

  /** The values to draw at `nowMs`; null if nothing was recorded. */
  values(nowMs: number): Float32Array | null {
    if (this.playing) {
      if (this.#drawnMs > 0) this.atS = Math.min(this.lengthS, this.atS + (nowMs - this.#drawnMs) / 1000)
      this.playing = this.atS < this.lengthS
    }
    this.#drawnMs = nowMs
    return this.#valuesAt(this.atS)
  }

  #valuesAt(atS: number): Float32Array | null {
    const first = this.#frames[0]
    if (!first) return null
    const hostMs = first.hostMs + 1000 * atS
    const next = this.#frames.findIndex((frame) => frame.hostMs >= hostMs)
    const [before, after] = [this.#frames[next - 1], this.#frames[next]]
    if (!after) return this.#frames.at(-1)?.values ?? null
    if (!before) return after.values
    const part = (hostMs - before.hostMs) / (after.hostMs - before.hostMs)
    return blend(before.values, after.values, part, this.#quaternions)
  }
}
