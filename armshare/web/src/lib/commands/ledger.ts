// Takes note of what is sent of the episode under way, as the link tells it; what it leaves is `sent.ts`'s to keep.

import { DIGEST_BYTES, type State } from '../link/wire'
import type { Sent, SentCommands } from './sent'

/** How many hashes are kept at most: half a minute's. A state that says what was obeyed makes those before it needless. */
const MOST = 1024
/** How many recorded states there are between two notes. */
const NOTE_STATES = 20

export class Ledger {
  readonly #sent: Pick<SentCommands, 'keep' | 'forget'>
  readonly #nowMs: () => number
  /** Of the episode under way. */
  #open: Omit<Sent, 'atMs'> | null = null
  #fresh = false
  #foreign = false
  #states = 0

  constructor(sent: Pick<SentCommands, 'keep' | 'forget'>, nowMs: () => number = Date.now) {
    this.#sent = sent
    this.#nowMs = nowMs
  }

  /** From now on commands are this episode's; `fresh`: it begins here, and was not come back to. */
  begin(episode: string, epoch: number, fresh: boolean): void {
    this.#open = { episode, epoch, from: 1, hashes: [], applied: 0, whole: false, over: false, foreign: this.#foreign }
    this.#fresh = fresh
    this.#states = 0
  }

  /** These were sent, one after the other. */
  push(epoch: number, from: number, digests: Uint8Array): void {
    const open = this.#open
    if (!open || open.epoch !== epoch) return
    if (from !== open.from + open.hashes.length) Object.assign(open, { from, hashes: [] })
    for (let at = 0; at < digests.length; at += DIGEST_BYTES) open.hashes.push(hexOf(digests.subarray(at, at + DIGEST_BYTES)))
    this.#drop(open.hashes.length - MOST)
  }

  /** A recorded state of this epoch came. */
  seen(state: Pick<State, 'applied'>): void {
    const open = this.#open
    if (!open) return
    if (state.applied > open.applied) {
      open.applied = state.applied
      this.#drop(open.applied - open.from)
    }
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

  #keep(open: Omit<Sent, 'atMs'>): void {
    this.#sent.keep({ ...open, hashes: [...open.hashes], atMs: this.#nowMs() })
  }

  #drop(count: number): void {
    const open = this.#open
    if (!open || count <= 0) return
    open.from += open.hashes.splice(0, count).length
  }
}

export const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
