// Takes note of what is sent of the episode under way, as the link tells it; what it leaves is `sent.ts`'s to keep.

import { DIGEST_BYTES, type State } from '../link/wire'
import { Digests } from './digests'
import type { Sent, SentCommands } from './sent'

/** How many recorded states there are between two notes. */
const NOTE_STATES = 100

type Open = Omit<Sent, 'atMs' | 'digests' | 'width'>

export class Ledger {
  readonly #sent: Pick<SentCommands, 'keep' | 'forget'>
  readonly #nowMs: () => number
  /** Of the episode under way. */
  #open: Open | null = null
  #digests = new Digests()
  #fresh = false
  #foreign = false
  #states = 0

  constructor(sent: Pick<SentCommands, 'keep' | 'forget'>, nowMs: () => number = Date.now) {
    this.#sent = sent
    this.#nowMs = nowMs
  }

  /** From now on commands are this episode's; `fresh`: it begins here, and was not come back to. */
  begin(episode: string, epoch: number, fresh: boolean): void {
    this.#open = { episode, epoch, first: 1, from: 1, applied: 0, whole: false, over: false, foreign: this.#foreign }
    this.#digests = new Digests()
    this.#fresh = fresh
    this.#states = 0
  }

  /** These were sent, one after the other. */
  push(epoch: number, from: number, digests: Uint8Array): void {
    const open = this.#open
    if (!open || open.epoch !== epoch) return
    const known = this.#digests.bytes.length / DIGEST_BYTES
    if (known === 0) open.first = from
    if (from !== open.from + known) {
      this.#digests = new Digests()
      open.from = from
    }
    open.from += this.#digests.push(digests)
  }

  /** A recorded state of this epoch came. */
  seen(state: Pick<State, 'applied'>): void {
    const open = this.#open
    if (!open) return
    open.applied = Math.max(open.applied, state.applied)
    if (this.#states++ % NOTE_STATES === 0) this.save()
  }

  /** The robot obeyed something that was not sent from here: this episode is not signed, nor is another of this visit. */
  foreign(): void {
    this.#foreign = true
    if (!this.#open) return
    this.#open.foreign = true
    this.save()
  }

  /** Nothing more is sent, or something is again. */
  silent(over: boolean): void {
    if (!this.#open) return
    this.#open.over = over
    this.save()
  }

  /** The episode has ended; what is sent from now on is not of it. */
  end(kept: boolean): void {
    const open = this.#open
    if (open && kept) {
      Object.assign(open, { over: true, whole: this.#fresh })
      this.#keep(open)
    } else if (open) this.#sent.forget(open.episode)
    this.#open = null
  }

  /** Write it down, once anything is recorded. */
  save(): void {
    if (this.#open && this.#states > 0) this.#keep(this.#open)
  }

  #keep(open: Open): void {
    this.#sent.keep({ ...open, digests: this.#digests.bytes, width: DIGEST_BYTES, atMs: this.#nowMs() })
  }
}
