// Reviewing: whether this wallet is asked, what it is asked about now, and its answer, signed.

import { account } from '../account/account.svelte'
import { typedData } from '../account/typed'
import { EpisodePage } from '../episode/page.svelte'
import { type Trouble, troubleOf } from '../trouble'
import { missing, Seen } from './seen'

export interface Standing {
  may: boolean
  why_not: string
  standing: 'trying' | 'trusted' | 'lost'
  accepted: number
  accepted_least: number
  known: number
  refusals_left: number
  waiting: number
}

export interface Task {
  episode: string
  digest: string
  task: string
  instruction: string
  duration_ms: number
  assigned_ms: number
  soonest_ms: number
  due_ms: number
  pay: string
}

/** Why an episode does not pass, each with its key. */
export const REASONS: readonly { key: string; says: string }[] = [
  { key: '1', says: 'The task was not done at the end.' },
  { key: '2', says: 'Something else was done than was asked for.' },
  { key: '3', says: 'Somebody helped by hand.' },
  { key: '4', says: 'The pictures do not show whether it was done.' },
]

export class Reviewing {
  standing = $state.raw<Standing | null>(null)
  task = $state.raw<Task | null>(null)
  page = $state.raw<EpisodePage | null>(null)
  trouble = $state.raw<Trouble | null>(null)
  busy = $state(false)
  /** How many were judged on this page. */
  done = $state(0)
  reason = $state(REASONS[0]?.says ?? '')
  seenS = $state(0)
  nowMs = $state(Date.now())
  #seen = new Seen(0)
  /** By how much the hub's clock is ahead of this one. */
  #aheadMs = 0

  get lengthS(): number {
    return (this.task?.duration_ms ?? 0) / 1000
  }

  /** What is missing before an answer is taken. */
  get missing(): { lookS: number; waitS: number } {
    return missing(this.seenS, this.lengthS, this.task?.soonest_ms ?? 0, this.nowMs + this.#aheadMs)
  }

  get ready(): boolean {
    return this.task !== null && !this.busy && this.missing.lookS === 0 && this.missing.waitS === 0
  }

  /** A moment of the episode is shown. */
  shown(atS: number): void {
    if (!this.task) return
    this.#seen.at(atS)
    this.seenS = this.#seen.seconds
    this.nowMs = Date.now()
  }

  async start(): Promise<void> {
    await this.#try(async () => {
      this.standing = await this.#ask<Standing>('GET', '/api/reviews')
      if (this.standing.may) await this.#next()
    })
  }

  async answer(passed: boolean): Promise<void> {
    const { task } = this
    const { wallet, config } = account
    if (!task || !wallet || !config || !this.ready) return
    await this.#try(async () => {
      const reviewedMs = Date.now() + this.#aheadMs
      const reason = passed ? '' : this.reason
      const said = { episodeId: task.episode, episodeDigest: task.digest, reviewer: wallet.address, passed, reason, reviewedMs: BigInt(reviewedMs) }
      const signature = await wallet.signTyped(typedData(config, 'EpisodeReview', said))
      const seen = { pictures_s: this.page?.timeline?.cameras.length ? this.seenS : 0, replay_s: this.seenS }
      await this.#ask('POST', `/api/reviews/${encodeURIComponent(task.episode)}`, { pass: passed, reason, seen, reviewed_ms: reviewedMs, signature })
      this.done += 1
      await this.#next()
    })
  }

  async refuse(): Promise<void> {
    const { task } = this
    if (!task || this.busy) return
    await this.#try(async () => {
      const { refusals_left } = await this.#ask<{ refusals_left: number }>('POST', `/api/reviews/${encodeURIComponent(task.episode)}/refuse`)
      if (this.standing) this.standing = { ...this.standing, refusals_left }
      await this.#next()
    })
  }

  close(): void {
    this.page?.close()
    this.page = this.task = null
  }

  async #next(): Promise<void> {
    this.close()
    const asked = await this.#ask<{ task: Task | null }>('GET', '/api/reviews/next')
    this.reason = REASONS[0]?.says ?? ''
    this.seenS = 0
    if (!asked.task) return
    this.#seen = new Seen(asked.task.duration_ms / 1000)
    // What was just assigned says what time the hub has; what was assigned before says nothing.
    const { assigned_ms } = asked.task
    if (assigned_ms > Date.now()) this.#aheadMs = assigned_ms - Date.now()
    this.page = new EpisodePage(asked.task.episode)
    this.task = asked.task
    await this.page.load()
    this.page?.replay.play()
  }

  #ask<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    return account.renewed(() => account.api.ask<T>(method, path, body))
  }

  async #try(work: () => Promise<void>): Promise<void> {
    this.busy = true
    this.trouble = null
    try {
      await work()
    } catch (error) {
      this.trouble = troubleOf(error)
    }
    this.busy = false
  }
}
