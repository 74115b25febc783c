// Whether this page's own end (a reload, a closed tab) cut a drive short: marked while one is recorded, and told once.

const MARK = 'armshare.recording'

export class Interrupted {
  told = $state(false)
  readonly #kept: Storage

  /** `kept` is this tab's own, so that no other window takes the drive for over. */
  constructor(kept: Storage) {
    this.#kept = kept
    this.told = kept.getItem(MARK) !== null
    this.over()
  }

  /** An episode is recorded from now on; what was told of the one before has been heeded. */
  recording(): void {
    this.#kept.setItem(MARK, 'yes')
    this.told = false
  }

  /** The episode has ended, and its page says so. */
  over(): void {
    this.#kept.removeItem(MARK)
  }

  dismiss(): void {
    this.told = false
  }
}

export const interrupted = new Interrupted(sessionStorage)
