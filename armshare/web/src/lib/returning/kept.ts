// Drives that this browser can go on with: written down while they are recorded, so that a page which was reloaded, left or
// closed finds its way back to the lease. Nothing of it is secret: only the wallet makes the key that signs the episode.

import type { Robot } from '../account/api'

export interface Kept {
  lease: string
  /** The robot's address. */
  robot: string
  task: string
  operator: string
  /** Of which the wallet makes the key again that signs; null in what an earlier version of this page wrote down. */
  nonce: string | null
  /** That key's address. */
  sessionKey: string | null
  /** How long the recording was when it was last written down. */
  seconds: number
  atMs: number
}

const STORE = 'armshare.drives'
const MINE = 'armshare.operator.drive'
/** No grant is good for longer. */
const OLD_MS = 2 * 3600 * 1000

export class KeptDrives {
  readonly #all: Storage
  readonly #tab: Storage
  readonly #nowMs: () => number

  /** `all` is the browser's storage, `tab` that of this tab alone. */
  constructor(all: Storage, tab: Storage, nowMs: () => number = Date.now) {
    this.#all = all
    this.#tab = tab
    this.#nowMs = nowMs
    this.#forgetKeys()
  }

  /** Write a drive down, or how long it has become. */
  keep(kept: Omit<Kept, 'atMs'>): void {
    const others = this.#read().filter((other) => other.lease !== kept.lease)
    this.#all.setItem(STORE, JSON.stringify([{ ...kept, atMs: this.#nowMs() }, ...others]))
    this.#tab.setItem(MINE, kept.lease)
  }

  forget(lease: string): void {
    const left = this.#read().filter((other) => other.lease !== lease)
    if (left.length > 0) this.#all.setItem(STORE, JSON.stringify(left))
    else this.#all.removeItem(STORE)
    if (this.#tab.getItem(MINE) === lease) this.#tab.removeItem(MINE)
  }

  /** The newest drive of a wallet with a robot. */
  find(operator: string, robot: string): Kept | null {
    return this.#read().find((each) => each.operator === operator && each.robot === robot) ?? null
  }

  /** Whether this very tab drove it: then nobody else is driving it now, whatever the hub has noticed. */
  ofThisTab(kept: Kept): boolean {
    return this.#tab.getItem(MINE) === kept.lease
  }

  #read(): Kept[] {
    const since = this.#nowMs() - OLD_MS
    return this.#written().filter((each) => each.lease && each.atMs > since)
  }

  /** An earlier version of this page wrote down the private key of each drive, too. */
  #forgetKeys(): void {
    const found: (Kept & { key?: unknown })[] = this.#written()
    if (!found.some((each) => 'key' in each)) return
    const left = found.map(({ key: _, ...each }) => ({ ...each, nonce: each.nonce ?? null, sessionKey: each.sessionKey ?? null }))
    this.#all.setItem(STORE, JSON.stringify(left))
  }

  #written(): Kept[] {
    try {
      const found: unknown = JSON.parse(this.#all.getItem(STORE) ?? '[]')
      return Array.isArray(found) ? found.filter((each): each is Kept => typeof each === 'object' && each !== null) : []
    } catch {
      return []
    }
  }
}

/** Whether the robot is kept for this wallet, which is away: by what the hub says of it. */
export const waitsFor = (robot: Pick<Robot, 'driver' | 'kept_s'>, address: string | undefined): boolean =>
  address !== undefined && robot.driver === address && (robot.kept_s ?? null) !== null

/** The drive that can be gone on with at this robot; null if there is none. */
export function toGoOnWith(drives: KeptDrives, robot: Robot, address: string): Kept | null {
  const kept = robot.driver === address ? drives.find(address, robot.robot) : null
  return kept && (waitsFor(robot, address) || drives.ofThisTab(kept)) ? kept : null
}
