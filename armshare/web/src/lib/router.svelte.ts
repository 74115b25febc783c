// Which page is shown, and whether it may be left without a question.

import { parse, type Route } from './routes'

export { dataHref, datasetHref, driveHref, episodeHref, lobbyHref, setsHref, watchHref } from './routes'

export class Router {
  route = $state.raw<Route>({ page: 'lobby' })
  /** Where somebody wants to go who is asked first; null if nobody is. */
  asking = $state<string | null>(null)
  #hash: string
  /** Which of this page's entries in the browser's history is shown. */
  #entry: number
  #ask: (() => boolean) | null = null

  constructor() {
    this.#hash = location.hash
    this.#entry = entryOf(history.state) ?? 0
    number(this.#entry)
    this.route = parse(this.#hash)
    addEventListener('hashchange', () => this.#changed())
  }

  /** Ask before this page is left, for as long as `ask` says so; returns what ends that. */
  guard(ask: () => boolean): () => void {
    this.#ask = ask
    return () => {
      if (this.#ask === ask) this.#ask = this.asking = null
    }
  }

  /** Go where it was asked. */
  leave(): void {
    const to = this.asking
    this.#ask = this.asking = null
    if (to !== null) location.hash = to
  }

  /** The same page shows something else now, which its address says too: "back" still leads to the page before it. */
  rewrite(hash: string): void {
    history.replaceState({ entry: this.#entry }, '', hash)
    this.#hash = location.hash
    this.route = parse(this.#hash)
  }

  stay(): void {
    this.asking = null
  }

  #changed(): void {
    const { hash } = location
    const entry = entryOf(history.state)
    if (hash !== this.#hash && this.#ask?.()) {
      this.asking = hash
      // Where it came from: a link has made a new entry, "back" and "forward" go to one that was there.
      history.go(entry === null ? -1 : this.#entry - entry)
      return
    }
    this.#entry = entry ?? this.#entry + 1
    number(this.#entry)
    if (hash === this.#hash) return
    this.#hash = hash
    this.asking = null
    this.route = parse(hash)
  }
}

const entryOf = (state: unknown): number | null => {
  const found = (state as { entry?: unknown } | null)?.entry
  return typeof found === 'number' ? found : null
}

const number = (entry: number): void => history.replaceState({ entry }, '')

export const router = new Router()
