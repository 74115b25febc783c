// An episode seen again: from the states that the page was shown while it was driven, without a download.

import { blend } from './interp'
import type { State } from '../link/wire'

export interface Frame {
  /** On the clock that the episode's motion is scored on: of a simulated robot its simulation's, else its host's. */
  atMs: number
  values: Float32Array
  succeeded: boolean
  /** How far the task was; null if the robot cannot know. */
  progress: number | null
}

export class Replay {
  playing = $state(false)
  /** How many seconds of the episode one second shows. */
  speed = $state(1)
  /** Where it is, from the episode's first state, s. */
  atS = $state(0)
  lengthS = $state(0)
  /** When the first state was, from the episode's first observation, s: more than nothing if the page came later. */
  fromS = $state(0)
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
    this.atS = this.lengthS = this.fromS = 0
  }

  /** `atMs` is when it was by the simulation's time; of a real robot it is the host's. */
  push({ tHostUs, values, succeeded, progress }: Pick<State, 'tHostUs' | 'values' | 'succeeded' | 'progress'>, atMs = Number(tHostUs) / 1000): void {
    this.take({ atMs, values, succeeded, progress })
  }

  take(frame: Frame): void {
    const [first, last] = [this.#frames[0], this.#frames.at(-1)]
    if (last && frame.atMs <= last.atMs) return
    this.#frames.push(frame)
    if (first) this.lengthS = (frame.atMs - first.atMs) / 1000
  }

  /** Where it is, from the episode's first observation, s. */
  get episodeS(): number {
    return this.fromS + this.atS
  }

  /** Play from a moment of the episode, s from its first observation. */
  playFrom(episodeS: number): void {
    this.scrub(episodeS - this.fromS)
    this.play()
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

  toggle(): void {
    if (this.playing) this.pause()
    else this.play()
  }

  scrub(atS: number): void {
    this.playing = false
    this.atS = Math.min(this.lengthS, Math.max(0, atS))
  }

  /** Go on, or back, by so many seconds. */
  step(byS: number): void {
    this.scrub(this.atS + byS)
  }

  /** It is `nowMs`: go on, if it plays. */
  tick(nowMs: number): void {
    if (this.playing) {
      if (this.#drawnMs > 0) this.atS = Math.min(this.lengthS, this.atS + (this.speed * Math.max(0, nowMs - this.#drawnMs)) / 1000)
      this.playing = this.atS < this.lengthS
    }
    this.#drawnMs = Math.max(this.#drawnMs, nowMs)
  }

  /** The values to draw at `nowMs`; null if nothing was recorded. */
  values(nowMs: number): Float32Array | null {
    this.tick(nowMs)
    return this.valuesAt(this.atS)
  }

  /** The values at a moment from the first state, s, between those that were recorded. */
  valuesAt(atS: number): Float32Array | null {
    const first = this.#frames[0]
    if (!first) return null
    const atMs = first.atMs + 1000 * atS
    const next = this.#from(atMs)
    const [before, after] = [this.#frames[next - 1], this.#frames[next]]
    if (!after) return this.#frames.at(-1)?.values ?? null
    if (!before) return after.values
    const part = (atMs - before.atMs) / (after.atMs - before.atMs)
    return blend(before.values, after.values, part, this.#quaternions)
  }

  /** The first frame that is not before a moment. */
  #from(atMs: number): number {
    let [low, high] = [0, this.#frames.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#frames[middle] as Frame).atMs >= atMs) high = middle
      else low = middle + 1
    }
    return low
  }
}
