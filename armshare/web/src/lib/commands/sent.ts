// What this browser sent of each episode that is not signed yet, by epoch: as much as is needed to say whether a manifest's
// `commands` are what was sent. Written down while it is driven, so that it is known after a reload and in another window.

/** What was sent in one epoch of an episode. */
export interface Sent {
  episode: string
  epoch: number
  /** The number of the first command whose SHA-256 is kept, and that of each from there on, in hex. */
  from: number
  hashes: string[]
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
    const text = JSON.stringify(sent)
    if (!this.#written(key, text)) return
    this.#makeRoom()
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

  #makeRoom(): void {
    const keys = this.#keys()
    if (keys.length <= MOST) return
    const at = new Map(keys.map((key) => [key, read(this.#storage.getItem(key))?.atMs ?? 0]))
    const oldest = keys.toSorted((one, other) => (at.get(one) ?? 0) - (at.get(other) ?? 0))
    for (const key of oldest.slice(0, keys.length - MOST)) this.#remove(key)
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

function read(text: string | null): Sent | null {
  try {
    const found = JSON.parse(text ?? 'null') as Partial<Sent> | null
    return found && Number.isSafeInteger(found.epoch) && Array.isArray(found.hashes) ? (found as Sent) : null
  } catch {
    return null
  }
}
