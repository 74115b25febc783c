// What lies open over the page, in the order in which it was opened: Esc closes the newest, and stops a robot only if
// there is nothing to close.

export class Panels {
  readonly #open: { close: () => void }[] = []

  /** Something was opened, which `close` closes; returns how to say that it is closed, by whatever. */
  opened(close: () => void): () => void {
    const panel = { close }
    this.#open.push(panel)
    return () => {
      const at = this.#open.indexOf(panel)
      if (at >= 0) this.#open.splice(at, 1)
    }
  }

  /** Close what was opened last; returns whether there was anything. */
  closeNewest(): boolean {
    const newest = this.#open.pop()
    newest?.close()
    return newest !== undefined
  }
}

export const panels = new Panels()
