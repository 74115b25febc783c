// Which page is shown, and whether it may be left without a question.

import { parse, type Route } from './routes'

export { driveHref, lobbyHref, watchHref } from './routes'

export class Router {
  route = $state.raw<Route>({ page: 'lobby' })
  /** Where somebody wants to go who is asked first; null if nobody is. */
  asking = $state<string | null>(null)
  #hash: string
  #ask: (() => boolean) | null = null

  constructor() {
    this.#hash = location.hash
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

  stay(): void {
    this.asking = null
  }

  #changed(): void {
    const { hash } = location
    if (hash === this.#hash) return
    if (this.#ask?.()) {
      this.asking = hash
      history.replaceState(history.state, '', this.#hash || '#/')
      return
    }
    this.#hash = hash
    this.asking = null
    this.route = parse(hash)
  }
}

export const router = new Router()
