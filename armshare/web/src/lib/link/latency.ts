// From a key that goes down to the picture that answers it: the first that shows a state in which its command is applied.
//
// Pure: time comes in as an argument. One press at a time is followed.

const GIVEN_UP_MS = 2000

export class Latency {
  #press: { atMs: number; intent: number; seq: number | null } | null = null

  /** A key went down; `intent` is the number of the intent that says so. */
  pressed(atMs: number, intent: number): void {
    if (this.#press && atMs - this.#press.atMs < GIVEN_UP_MS) return
    this.#press = { atMs, intent, seq: null }
  }

  /** Command `seq` was the first to say intent `intent`, and with it all before. */
  sent(intent: number, seq: number): void {
    if (this.#press && intent >= this.#press.intent) this.#press.seq ??= seq
  }

  /** A state was drawn in which command `applied` was the newest; returns when the key went down that it answers. */
  shown(applied: number): number | null {
    const press = this.#press
    if (!press || press.seq === null || applied < press.seq) return null
    this.#press = null
    return press.atMs
  }
}
