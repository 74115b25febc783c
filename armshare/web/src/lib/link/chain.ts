// The commands of one epoch, each with the SHA-256 of the one before it (`teleop/PROTOCOL.md`, "Commands are bound"), and
// whether a state says of them what was sent.

import { sha256 } from 'viem'
import { DIGEST_BYTES } from './wire'

/** How many of the newest are remembered: 128 KiB, however long it lasts; half a minute's at the highest rate. */
const KEPT = 4096
/** Before the first command. */
const FIRST = new Uint8Array(DIGEST_BYTES)

/** Commands that were sent one after the other: the number of the first, and the SHA-256 of each. */
export interface Links {
  from: number
  digests: Uint8Array<ArrayBuffer>
}

export class Chain {
  readonly #ring = new Uint8Array(KEPT * DIGEST_BYTES)
  /** The numbers of the newest command, and of the newest that was told. */
  #last = 0
  #told = 0

  /** What the next command holds of the one before it. */
  get before(): Uint8Array {
    return this.#at(this.#last) ?? FIRST
  }

  /** The number of the newest command. */
  get last(): number {
    return this.#last
  }

  /** These bytes are sent as the next command. */
  push(command: ArrayBuffer): void {
    this.#last += 1
    this.#ring.set(sha256(new Uint8Array(command), 'bytes'), this.#offset(this.#last))
  }

  /** Those that were sent since this was last asked; null if there are none. */
  takeNew(): Links | null {
    const from = Math.max(this.#told + 1, this.#last - KEPT + 1)
    if (from > this.#last) return null
    const digests = new Uint8Array((this.#last - from + 1) * DIGEST_BYTES)
    for (let seq = from; seq <= this.#last; seq++) digests.set(this.#at(seq) ?? FIRST, (seq - from) * DIGEST_BYTES)
    this.#told = this.#last
    return { from, digests }
  }

  /** Whether command `applied` was sent here, with this SHA-256. What is forgotten is not doubted. */
  agrees(applied: number, digest: Uint8Array): boolean {
    if (applied > this.#last) return false
    const sent = applied === 0 ? FIRST : this.#at(applied)
    return sent === null || sent.every((byte, i) => byte === digest[i])
  }

  #at(seq: number): Uint8Array | null {
    if (seq < 1 || seq > this.#last || seq <= this.#last - KEPT) return null
    return this.#ring.subarray(this.#offset(seq), this.#offset(seq) + DIGEST_BYTES)
  }

  #offset(seq: number): number {
    return (seq % KEPT) * DIGEST_BYTES
  }
}
