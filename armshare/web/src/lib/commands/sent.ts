// What this browser sent of each episode that is not signed yet, by epoch, to say whether a manifest's `commands` are what was
// sent. The page that drives has all of it; the newest are written down meanwhile, shortened, for after a reload and for other
// windows.

import { readShortened, SHORT_BYTES, shortened } from './digests'

/** What was sent in one epoch of an episode. */
export interface Sent {
  episode: string
  epoch: number
  /** The number of its first command; of the first whose SHA-256 is still known; and that of each from there on, in a row, or
   * so many bytes of it. */
  first: number
  from: number
  digests: Uint8Array
  width: number
  /** The newest of them that a recorded state said was obeyed, 0 before any. */
  applied: number
  /** This browser drove all of the episode, in this epoch. */
  whole: boolean
  /** Nothing was sent after the last of these. */
  over: boolean
  /** The robot obeyed something else, too. */
  foreign: boolean
  atMs: number
}

const PREFIX = 'armshare.commands.'
/** How many are kept; of those that were never decided the oldest make room. */
const MOST = 64
/** How many commands are written down of each, in 256 kB: those of nine minutes at 30 a second. */
const NEWEST = 16_384

export class SentCommands {
  readonly #storage: Storage
  /** Of this page, also if the browser has no room to write them down. */
  readonly #here = new Map<string, Sent>()

  constructor(storage: Storage) {
    this.#storage = storage
  }

  keep(sent: Sent): void {
    const key = keyOf(sent.episode, sent.epoch)
    this.#here.set(key, sent)
    const text = textOf(sent)
    for (let most = MOST; !this.#written(key, text) && most > 0; most = Math.floor(most / 2)) this.#makeRoom(most, key)
    this.#makeRoom(MOST, key)
  }

  /** All that is known of an episode; nothing if it was driven elsewhere. */
  of(episode: string): Sent[] {
    const keys = new Set([...this.#keys(), ...this.#here.keys()].filter((key) => key.startsWith(keyOf(episode, ''))))
    return [...keys].flatMap((key) => this.#here.get(key) ?? read(this.#storage.getItem(key)) ?? [])
  }

  /** It is signed, or discarded. */
  forget(episode: string): void {
    for (const key of [...this.#keys(), ...this.#here.keys()]) if (key.startsWith(keyOf(episode, ''))) this.#remove(key)
  }

  #written(key: string, text: string): boolean {
    try {
      this.#storage.setItem(key, text)
      return true
    } catch {
      return false // the browser has no room: this page knows it nevertheless
    }
  }

  /** Leave so many of the others. */
  #makeRoom(most: number, but: string): void {
    const keys = this.#keys().filter((key) => key !== but)
    if (keys.length < most) return
    const at = new Map(keys.map((key) => [key, read(this.#storage.getItem(key))?.atMs ?? 0]))
    const oldest = keys.toSorted((one, other) => (at.get(one) ?? 0) - (at.get(other) ?? 0))
    for (const key of oldest.slice(0, keys.length - most + 1)) this.#storage.removeItem(key)
  }

  #remove(key: string): void {
    this.#here.delete(key)
    this.#storage.removeItem(key)
  }

  #keys(): string[] {
    return Array.from({ length: this.#storage.length }, (_, i) => this.#storage.key(i) ?? '').filter((key) => key.startsWith(PREFIX))
  }
}

const keyOf = (episode: string, epoch: number | ''): string => `${PREFIX}${episode}.${epoch}`

/** As much as is written down. */
function textOf(sent: Sent): string {
  const { digests, width, from } = sent
  const all = digests.length / width
  const count = Math.min(all, NEWEST)
  return JSON.stringify({ ...sent, from: from + all - count, digests: shortened(digests, width, count), width: SHORT_BYTES })
}

function read(text: string | null): Sent | null {
  try {
    const found = JSON.parse(text ?? 'null') as (Omit<Sent, 'digests'> & { digests: unknown }) | null
    if (!found || !Number.isSafeInteger(found.epoch) || typeof found.digests !== 'string') return null
    return { ...found, digests: readShortened(found.digests) }
  } catch {
    return null
  }
}
