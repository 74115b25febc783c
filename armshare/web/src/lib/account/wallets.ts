// The throw-away wallets of this browser, side by side. None is ever written over another, and none goes unasked.

import type { Hex } from 'viem'
import { PlainError } from '../trouble'
import { keyWallet } from './wallet'

export interface Stored {
  key: Hex
  address: string
  madeMs: number
  /** When its backup was read back; null if it never was. */
  savedMs: number | null
}

/** What a backup's file holds. */
interface Backup {
  armshare_wallet: 1
  address: string
  private_key: Hex
  keep_secret: string
}

const STORE = 'armshare.wallets'
/** One key alone, as it was kept before there could be several. */
const OLD = 'armshare.key'
const COOKIE = 'armshare_wallets'
const KNOWN_MOST = 8
const YEAR_S = 365 * 24 * 3600

/** A key that a person typed or chose; raises PlainError. */
export function keyOf(text: string): Hex {
  const trimmed = text.trim()
  if (!/^(0x)?[0-9a-fA-F]{64}$/.test(trimmed))
    throw new PlainError('A private key is 64 hexadecimal digits, with or without 0x in front.')
  return (trimmed.startsWith('0x') ? trimmed : `0x${trimmed}`).toLowerCase() as Hex
}

export class Wallets {
  readonly #store: Storage
  readonly #page: { cookie: string }
  readonly #nowMs: () => number

  /** `page` has the cookies, where only addresses are noted: so the page knows of a wallet whose key is gone. */
  constructor(store: Storage, page: { cookie: string }, nowMs: () => number = Date.now) {
    this.#store = store
    this.#page = page
    this.#nowMs = nowMs
  }

  /** In the order in which they came. */
  list(): Stored[] {
    const found = this.#read()
    const old = this.#store.getItem(OLD)
    if (old === null) return found
    const moved = this.#with(found, old)
    this.#write(moved)
    this.#note(moved.map((each) => each.address))
    this.#store.removeItem(OLD)
    return moved
  }

  find(address: string): Stored | undefined {
    return this.list().find((each) => each.address === address)
  }

  /** Keep a key, beside those that are kept; raises PlainError if it is none. */
  add(text: string): Stored {
    const all = this.#with(this.list(), text)
    this.#write(all)
    const { address } = keyWallet(keyOf(text))
    this.#note([...new Set([...this.#noted(), address])])
    return all.find((each) => each.address === address) as Stored
  }

  /** The backup of this wallet was read back, and holds its key. */
  saved(address: string): void {
    this.#write(this.list().map((each) => (each.address === address ? { ...each, savedMs: this.#nowMs() } : each)))
  }

  /** Delete a key, for somebody who was asked. */
  remove(address: string): void {
    this.#write(this.list().filter((each) => each.address !== address))
    this.forgetLost(address)
  }

  /** Addresses that had a key in this browser, which is here no more. */
  lost(): string[] {
    const here = new Set(this.list().map((each) => each.address))
    return this.#noted().filter((address) => !here.has(address))
  }

  forgetLost(address: string): void {
    this.#note(this.#noted().filter((each) => each !== address))
  }

  #with(all: Stored[], text: string): Stored[] {
    const key = keyOf(text)
    const { address } = keyWallet(key)
    if (all.some((each) => each.address === address)) return all
    return [...all, { key, address, madeMs: this.#nowMs(), savedMs: null }]
  }

  #read(): Stored[] {
    const text = this.#store.getItem(STORE)
    if (text === null) return []
    try {
      const found = JSON.parse(text) as unknown
      if (Array.isArray(found) && found.every(isStored)) return found
    } catch {
      // told below
    }
    // Whatever it is, it may hold a key: it is set aside, and never written over.
    this.#store.setItem(`${STORE}.unreadable.${this.#nowMs()}`, text)
    this.#store.removeItem(STORE)
    return []
  }

  #write(all: Stored[]): void {
    this.#store.setItem(STORE, JSON.stringify(all))
  }

  #noted(): string[] {
    const found = new RegExp(`(?:^|; )${COOKIE}=([^;]*)`).exec(this.#page.cookie)?.[1] ?? ''
    return found.split('.').filter((address) => /^0x[0-9a-fA-F]{40}$/.test(address))
  }

  #note(addresses: string[]): void {
    this.#page.cookie = `${COOKIE}=${addresses.slice(-KNOWN_MOST).join('.')}; Max-Age=${YEAR_S}; Path=/; SameSite=Strict`
  }
}

const isStored = (value: unknown): value is Stored => {
  const { key, address } = (value ?? {}) as Partial<Stored>
  return typeof key === 'string' && /^0x[0-9a-f]{64}$/.test(key) && typeof address === 'string'
}

/** The name and the text of a wallet's backup. */
export function backupOf(stored: Pick<Stored, 'key' | 'address'>): { name: string; text: string } {
  const backup: Backup = {
    armshare_wallet: 1,
    address: stored.address,
    private_key: stored.key,
    keep_secret: 'Anyone who has this file can spend what the wallet holds.',
  }
  return { name: `armshare-wallet-${stored.address.slice(0, 10)}.json`, text: `${JSON.stringify(backup, null, 2)}\n` }
}

/** The key in a backup's text, or in a text that is a key; raises PlainError. */
export function readBackup(text: string): Hex {
  try {
    const { private_key, address } = JSON.parse(text) as Partial<Backup>
    const key = keyOf(String(private_key))
    if (address === undefined || keyWallet(key).address === address) return key
  } catch {
    return keyOf(text)
  }
  throw new PlainError('This file is damaged: its key belongs to another address than the one that it names.')
}

/** Whether that is the backup of this wallet; raises PlainError if it is of another, or of none. */
export function requireBackup(text: string, address: string): void {
  let found: string
  try {
    found = keyWallet(readBackup(text)).address
  } catch (error) {
    throw new PlainError('This is not a wallet backup. Choose the file that you just saved.', 'try_again', error)
  }
  if (found !== address) throw new PlainError('This is the backup of another wallet. Choose the file that you just saved.')
}
