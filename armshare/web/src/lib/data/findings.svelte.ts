// What a search has found so far, page after page, and what there is to narrow it by. It outlives the page that shows it, so
// that whoever comes back from an episode finds the list where they left it.

import type { Api } from '../account/api'
import { type Trouble, troubleOf } from '../trouble'
import { type Found, type FoundPage, search, type Total, type Values, values } from './api'
import type { Words } from './words'

export class Findings {
  rows = $state.raw<Found[]>([])
  total = $state.raw<Total | null>(null)
  values = $state.raw<Values | null>(null)
  trouble = $state.raw<Trouble | null>(null)
  /** The first page is on its way: what is shown is of the search before. */
  looking = $state(false)
  /** The next page is. */
  adding = $state(false)
  /** Where the page was scrolled to when it was left. */
  scrolledPx = 0
  #asked: string | null = null
  #next: string | null = null
  #words: Words = {}

  constructor(readonly api: Api) {}

  get more(): boolean {
    return this.#next !== null
  }

  /** Look for these, unless that is what is here; what failed is looked for again. */
  async look(words: Words, again = false): Promise<void> {
    const asked = JSON.stringify(Object.entries(words).toSorted())
    if (asked === this.#asked && !again && (this.looking || this.trouble === null || this.rows.length > 0)) return
    this.#asked = asked
    this.#words = words
    this.#next = null
    this.scrolledPx = 0
    this.trouble = null
    this.looking = true
    this.adding = false
    void this.#count(words, asked)
    await this.#page(asked, (page) => {
      this.rows = page.episodes
      this.total = { total: page.total, more: page.more }
    })
  }

  async again(): Promise<void> {
    await this.look(this.#words, true)
  }

  async add(): Promise<void> {
    if (this.#next === null || this.adding || this.looking || this.#asked === null) return
    this.adding = true
    this.trouble = null
    const known = new Set(this.rows.map(({ episode }) => episode))
    await this.#page(this.#asked, (page) => (this.rows = [...this.rows, ...page.episodes.filter(({ episode }) => !known.has(episode))]))
  }

  async #page(asked: string, take: (page: FoundPage) => void): Promise<void> {
    try {
      const page = await search(this.api, this.#words, this.#next)
      if (asked !== this.#asked) return
      take(page)
      this.#next = page.next
    } catch (error) {
      if (asked !== this.#asked) return
      this.trouble = troubleOf(error)
      if (this.looking) {
        this.rows = []
        this.total = null
      }
    }
    this.looking = this.adding = false
  }

  async #count(words: Words, asked: string): Promise<void> {
    const found = await values(this.api, words).catch(() => null)
    if (asked === this.#asked) this.values = found
  }
}
