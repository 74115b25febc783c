// What becomes of a visit's episodes: looked at first, handed in or discarded, and their verdicts. One after another, beside
// the next drive.

import type { Account } from '../account/account.svelte'
import type { Arrival, Config } from '../account/api'
import { type FinishState, seal, type Verdict } from '../account/finish'
import type { Ours } from '../account/manifest'
import type { Wallet } from '../account/wallet'
import type { SentCommands } from '../commands/sent'
import { type Trouble, troubleOf } from '../trouble'

/** What became of an episode whose operator was driving the next one already. */
export interface Before {
  verdict: Verdict | null
  refusal: Trouble | null
  /** Do again what was refused. */
  retry?: () => void
  /** Sign it although not all of it can be checked. */
  sign?: () => void
}

/** The episode that has ended; `key` makes what signs it, or says why it cannot. */
export type Driven = Pick<Ours, 'episode' | 'robot' | 'task' | 'driver'> & { key: () => Promise<Wallet> }

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
  readonly #sent: Pick<SentCommands, 'of' | 'forget'>
  readonly #seal: typeof seal
  #refused: ((agreed: boolean) => Promise<void>) | null = null
  /** Which drive of this visit it is. */
  #number = 0
  /** Episodes are handed in one after another. */
  #queue: Promise<void> = Promise.resolve()

  /** `driven` is the episode that has ended, null if there is none; `sent` is what this browser sent. */
  constructor(account: Account, driven: () => Driven | null, sent: Pick<SentCommands, 'of' | 'forget'>, sealing = seal) {
    this.#account = account
    this.#driven = driven
    this.#sent = sent
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
    const handIn = async (config: Config, operator: string, agreed: boolean) => {
      const verdict = await this.#sealed(config, driven, operator, number, agreed)
      if (number === this.#number) this.sealedMs = performance.now() - sinceMs
      this.#show(number, { verdict, refusal: null })
      await Promise.all([this.#account.refreshBalance(), this.#account.refreshOperator()])
    }
    this.#queue = this.#queue.then(() => this.#told(number, handIn))
    await this.#queue
  }

  /** Discard the episode that has ended, or one that has not. */
  async discard(episode = this.#driven()?.episode): Promise<void> {
    if (episode === undefined) return
    this.reviewing = false
    const number = this.#number
    await this.#told(number, async () => {
      await this.#account.renewed(() => this.#account.api.discard(episode))
      this.#sent.forget(episode)
      if (number !== this.#number) return
      this.refusal = null
      this.discarded = true
    })
  }

  /** Do again what was refused; `agreed`: sign it although not all of it can be checked. */
  retryRefused(agreed = false): void {
    this.refusal = null
    void this.#refused?.(agreed)
  }

  /** The episode is not handed in, whatever the hub says of it. */
  refuse(trouble: Trouble): void {
    this.reviewing = false
    this.refusal = trouble
  }

  /** Do what can be refused, and keep why. */
  async #told(number: number, work: (config: Config, operator: string, agreed: boolean) => Promise<void>, agreed = false): Promise<void> {
    const { config, wallet } = this.#account
    if (!config || !wallet) return
    try {
      await work(config, wallet.address, agreed)
    } catch (error) {
      const again = (agreed: boolean) => this.#told(number, work, agreed)
      if (number === this.#number) this.#refused = again
      const retry = (agreed: boolean) => {
        this.before = null
        void again(agreed)
      }
      this.#show(number, { verdict: null, refusal: troubleOf(error), retry: () => retry(false), sign: () => retry(true) })
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

  async #sealed(config: Config, { key, ...driven }: Driven, operator: string, number: number, agreed: boolean): Promise<Verdict> {
    const at = (state: FinishState, arrival: Arrival | null = null) => {
      if (number !== this.#number) return
      this.finishing = state
      this.arrival = arrival
    }
    at('asking')
    const session = await key()
    const ours = { ...driven, operator, sessionKey: session.address }
    const ledgers = { sent: this.#sent, agreed }
    return this.#account.renewed(() => this.#seal(this.#account.api, config, session, ours, ledgers, at))
  }
}
