// SHA-256 after SHA-256, 32 bytes each: of all commands of an episode an hour takes 3.5 MB at 30 a second, and 18 MB at the
// highest rate.

import { DIGEST_BYTES } from '../link/wire'

/** Half an hour more than an episode can last, at the highest rate: 32 MiB. */
const MOST = 2 ** 20

export class Digests {
  #bytes = new Uint8Array(1024 * DIGEST_BYTES)
  #count = 0

  /** All of them, as they are now. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#count * DIGEST_BYTES)
  }

  /** Add some; returns how many of the oldest had to make room for them. */
  push(more: Uint8Array): number {
    const count = this.#count + more.length / DIGEST_BYTES
    const dropped = count > MOST ? Math.min(this.#count, MOST / 4) : 0
    this.#makeRoom(count - dropped, dropped)
    this.#bytes.set(more, this.#count * DIGEST_BYTES)
    this.#count = count - dropped
    return dropped
  }

  /** Into bytes of its own if they change: those that were given out stay as they are. */
  #makeRoom(count: number, dropped: number): void {
    const room = this.#bytes.length / DIGEST_BYTES
    if (dropped === 0 && count <= room) return
    const bytes = new Uint8Array(Math.max(count, Math.min(2 * room, MOST)) * DIGEST_BYTES)
    bytes.set(this.bytes.subarray(dropped * DIGEST_BYTES))
    this.#bytes = bytes
    this.#count -= dropped
  }
}

/** So many bytes of each are written down: enough that nobody finds another command that begins so. */
export const SHORT_BYTES = 12

const SLICE_BYTES = 1024 * SHORT_BYTES

/** The beginnings of the newest `count`, as text: 16 characters each. */
export function shortened(digests: Uint8Array, width: number, count: number): string {
  const first = digests.length / width - count
  const short = new Uint8Array(count * SHORT_BYTES)
  for (let i = 0; i < count; i++) short.set(digests.subarray((first + i) * width, (first + i) * width + SHORT_BYTES), i * SHORT_BYTES)
  let text = ''
  for (let at = 0; at < short.length; at += SLICE_BYTES) text += btoa(String.fromCharCode(...short.subarray(at, at + SLICE_BYTES)))
  return text
}

export const readShortened = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))

export const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

export const bytesOf = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16))
