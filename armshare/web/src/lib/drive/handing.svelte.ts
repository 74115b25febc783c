// What becomes of a visit's episodes: looked at first, handed in or discarded, and their verdicts. One after another, beside
// the next drive.

import type { Account } from '../account/account.svelte'
import type { Arrival, Config } from '../account/api'
import { type FinishState, seal, type Verdict } from '../account/finish'
import type { Ours } from '../account/manifest'
import type { Wallet } from '../account/wallet'
import { type Trouble, troubleOf } from '../trouble'

/** What became of an episode whose operator was driving the next one already. */
export interface Before {
  verdict: Verdict | null
  refusal: Trouble | null
  /** Do again what was refused. */
  retry?: () => void
}

/** The episode that has ended; `key` makes what signs it, or says why it cannot. */
export type Driven = Pick<Ours, 'episode' | 'robot' | 'task'> & { key: () => Promise<Wallet> }

export class Handing {
  finishing = $state<FinishState | null>(null)
  /** How much of the recording the hub has, while it is waited for. */
  arrival = $state.raw<Arrival | null>(null)
  verdict = $state.raw<Verdict | null>(null)
  /** Why the episode was refused or could not be handed in. */
  refusal = $state.raw<Trouble | null>(null)
  /** The episode is over, and its operator looks at it before it is handed in. */
  reviewing = $state(false)
  discarded = $state(false)
  before = $state.raw<Before | null>(null)
  /** From the end of the episode to its score. */
  sealedMs = $state<number | null>(null)
  readonly #account: Account
  readonly #driven: () => Driven | null
  readonly #seal: typeof seal
  #refused: (() => Promise<void>) | null = null
  /** Which drive of this visit it is. */
  #number = 0
  /** Episodes are handed in one after another. */
  #queue: Promise<void> = Promise.resolve()

  /** `driven` is the episode that has ended, null if there is none. */
  constructor(account: Account, driven: () => Driven | null, sealing = seal) {
    this.#account = account
    this.#driven = driven
    this.#seal = sealing
  }

  /** Whether the next drive has to wait for what becomes of the last: only if that decides what is to be shown. */
  get waiting(): boolean {
    return this.reviewing || this.#account.operator?.qualified === false
  }

  /** The next drive begins: what is still to come of the last is told beside it. */
  next(): void {
    this.verdict = this.refusal = this.before = this.finishing = this.arrival = this.sealedMs = null
    this.#number += 1
    this.reviewing = this.discarded = false
  }

  /** `sinceMs`: when the episode was finished. */
  async handIn(sinceMs = performance.now()): Promise<void> {
    const driven = this.#driven()
    if (!driven) return
    this.reviewing = false
    const number = this.#number
    const handIn = async (config: Config, operator: string) => {
      const verdict = await this.#sealed(config, driven, operator, number)
      if (number === this.#number) this.sealedMs = performance.now() - sinceMs
      this.#show(number, { verdict, refusal: null })
      await Promise.all([this.#account.refreshBalance(), this.#account.refreshOperator()])
    }
    this.#queue = this.#queue.then(() => this.#told(number, handIn))
    await this.#queue
  }

  async discard(): Promise<void> {
    const driven = this.#driven()
    if (!driven) return
    this.reviewing = false
    const number = this.#number
    await this.#told(number, async () => {
      await this.#account.renewed(() => this.#account.api.discard(driven.episode))
      if (number !== this.#number) return
      this.refusal = null
      this.discarded = true
    })
  }

  /** Do again what was refused. */
  retryRefused(): void {
    this.refusal = null
    void this.#refused?.()
  }

  /** Do what can be refused, and keep why. */
  async #told(number: number, work: (config: Config, operator: string) => Promise<void>): Promise<void> {
    const { config, wallet } = this.#account
    if (!config || !wallet) return
    try {
      await work(config, wallet.address)
    } catch (error) {
      const again = () => this.#told(number, work)
      if (number === this.#number) this.#refused = again
      const retry = () => {
        this.before = null
        void again()
      }
      this.#show(number, { verdict: null, refusal: troubleOf(error), retry })
    }
  }

  /** Say what became of an episode: in its result, or beside the drive after it. */
  #show(number: number, found: Before): void {
    if (number !== this.#number) {
      this.before = found
      return
    }
    this.verdict = found.verdict ?? this.verdict
    this.refusal = found.refusal
  }

  async #sealed(config: Config, { key, ...driven }: Driven, operator: string, number: number): Promise<Verdict> {
    const at = (state: FinishState, arrival: Arrival | null = null) => {
      if (number !== this.#number) return
      this.finishing = state
      this.arrival = arrival
    }
    at('asking')
    const session = await key()
    const ours = { ...driven, operator, sessionKey: session.address }
    return this.#account.renewed(() => this.#seal(this.#account.api, config, session, ours, at))
  }
}
