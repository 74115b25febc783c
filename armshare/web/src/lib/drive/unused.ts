// When a robot that is held and not driven goes back, so that a page that was left open keeps it from nobody.
//
// Pure: time comes in as an argument.

/** For so long a robot stays with somebody who does nothing with it. */
export const UNUSED_MS = 120_000
/** For so long it stays on a result while another person waits for it. */
export const WAITED_FOR_MS = 20_000
/** So long before its end the page says it. */
export const TOLD_MS = 60_000

export class Unused {
  #usedMs: number
  #waitedMs: number | null = null

  constructor(nowMs: number) {
    this.#usedMs = nowMs
  }

  /** Somebody is there: they pressed, pointed or drove. */
  used(nowMs: number): void {
    this.#usedMs = nowMs
  }

  /** Whether others wait while nothing is driven: the robot then goes to them, whatever is pressed on this page. */
  waited(others: boolean, nowMs: number): void {
    this.#waitedMs = others ? (this.#waitedMs ?? nowMs) : null
  }

  leftMs(nowMs: number): number {
    const unused = this.#usedMs + UNUSED_MS - nowMs
    const waited = this.#waitedMs === null ? Infinity : this.#waitedMs + WAITED_FOR_MS - nowMs
    return Math.max(0, Math.min(unused, waited))
  }
}
