// How often to draw: at the display's rate, and if drawing is slow, no more than half of the time.
//
// Without a graphics chip the picture takes the processor that the robot's commands need.

const SLOW_MS = 40
/** However slow drawing is, it waits no longer: the host lets go of a robot that its operator has not seen for 500 ms. */
const MOST_MS = 250
const SMOOTHING = 0.2

export class Pace {
  #drawnMs = -Infinity
  #waiting = false
  #frameMs = 0

  /** How long a drawn frame has taken lately, as the display's clock sees it. */
  get slow(): boolean {
    return this.#frameMs > SLOW_MS
  }

  /** Whether to draw at this tick of the display. */
  due(nowMs: number): boolean {
    const sinceMs = nowMs - this.#drawnMs
    if (this.#waiting) this.#frameMs += SMOOTHING * (Math.min(sinceMs, 1000) - this.#frameMs)
    this.#waiting = false
    return !this.slow || sinceMs >= Math.min(2 * this.#frameMs, MOST_MS)
  }

  /** Nothing was to be drawn at this tick: the time until the next frame is not one that drawing takes. */
  rest(): void {
    this.#waiting = false
  }

  drawn(nowMs: number): void {
    this.#drawnMs = nowMs
    this.#waiting = true
  }
}
