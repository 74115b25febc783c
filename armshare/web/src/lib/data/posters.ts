// The still pictures of many episodes, fetched a few at a time, so that whatever else the page asks for is not kept waiting.
// A hub that is busy drawing says when to come back. What was fetched is kept while the page is open, the newest of it.

import { drawn, type World } from './drawing'

export interface Poster {
  /** An address of the picture's bytes, in this page. */
  url: string
  /** Which camera saw it: the one that was asked for, or null for the hub's choice, as there is no such one. */
  camera: string | null
}

/** How many are fetched at once: a browser has six connections to a hub. */
const AT_ONCE = 3
const KEPT = 600

export class Posters {
  readonly #kept = new Map<string, Poster>()
  readonly #waiting: (() => void)[] = []
  #busy = 0

  constructor(
    readonly preview: (episode: string, camera: string | null) => string,
    readonly world: World,
  ) {}

  /** What is here already. */
  here(episode: string, camera: string): Poster | null {
    return this.#kept.get(key(episode, camera)) ?? null
  }

  /** Null if there is no picture of it. Throws if it is not wanted any more. */
  async get(episode: string, camera: string, signal: AbortSignal): Promise<Poster | null> {
    const here = this.here(episode, camera)
    if (here) return here
    await this.#turn(signal)
    try {
      const found = (await this.#fetched(episode, camera, signal)) ?? (await this.#fetched(episode, null, signal))
      if (found) this.#keep(key(episode, camera), found)
      return found
    } finally {
      this.#busy -= 1
      this.#waiting.shift()?.()
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    while (this.#busy >= AT_ONCE) {
      await new Promise<void>((go) => this.#waiting.push(go))
      if (signal.aborted) {
        this.#waiting.shift()?.()
        signal.throwIfAborted()
      }
    }
    this.#busy += 1
  }

  async #fetched(episode: string, camera: string | null, signal: AbortSignal): Promise<Poster | null> {
    const answer = await drawn(this.world, this.preview(episode, camera), signal)
    return answer.ok ? { url: this.world.url(await answer.blob()), camera } : null
  }

  #keep(name: string, poster: Poster): void {
    this.#kept.set(name, poster)
    for (const [oldest, { url }] of this.#kept) {
      if (this.#kept.size <= KEPT) return
      this.#kept.delete(oldest)
      this.world.revoke(url)
    }
  }
}

const key = (episode: string, camera: string): string => `${camera} ${episode}`
