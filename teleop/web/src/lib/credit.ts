// When to answer camera frames. Each answer costs both ends a message, so several frames are answered at once, unless
// this reader falls behind: then each as it is drawn, so that the hub sees how slow it is.

export const TOGETHER = 3
export const WAIT_MS = 40

export class Credit {
  #unanswered = 0
  #sinceMs = 0

  /** A frame has been drawn; whether to answer now. `behind`: another came while it was drawn. */
  drawn(nowMs: number, behind: boolean): boolean {
    if (this.#unanswered === 0) this.#sinceMs = nowMs
    this.#unanswered += 1
    if (!behind && this.#unanswered < TOGETHER) return false
    this.#unanswered = 0
    return true
  }

  /** Whether what is unanswered has waited long enough. */
  due(nowMs: number): boolean {
    if (this.#unanswered === 0 || nowMs - this.#sinceMs < WAIT_MS) return false
    this.#unanswered = 0
    return true
  }
}
