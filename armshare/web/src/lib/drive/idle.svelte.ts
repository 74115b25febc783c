// In how many seconds a robot that is held and not driven goes back to the others, as its page tells it.

import { TOLD_MS, Unused } from './unused'

export class Idle {
  /** Null while there is time, or it is driven. */
  goesBackS = $state<number | null>(null)
  #unused = new Unused(performance.now())

  /** Somebody is at this page. */
  used(): void {
    this.#unused.used(performance.now())
  }

  /** The robot is driven, or not held. */
  driven(nowMs: number): void {
    this.#unused = new Unused(nowMs)
    this.goesBackS = null
  }

  /** The robot is held and not driven, `others`: while others wait for it; returns whether it must go back now. */
  undriven(others: boolean, nowMs: number): boolean {
    this.#unused.waited(others, nowMs)
    const leftMs = this.#unused.leftMs(nowMs)
    this.goesBackS = leftMs > 0 && leftMs <= TOLD_MS ? Math.ceil(leftMs / 1000) : null
    return leftMs === 0
  }
}
